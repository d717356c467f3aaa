// The setup on a copy of it in a repository whose only package is its own, so that everything is real but the network.
import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { repositoryRoot } from '../files.ts'
import { makeTree } from '../temporary-tree.ts'

const lock = {
  name: 'x',
  version: '1.0.0',
  lockfileVersion: 3,
  requires: true,
  packages: {
    '': { name: 'x', version: '1.0.0', workspaces: ['w'] },
    'node_modules/w': { resolved: 'w', link: true },
    w: { version: '1.0.0' },
  },
}

function makeCheckout(t: TestContext): string {
  const root = makeTree(t, {
    'package.json': JSON.stringify({ name: 'x', version: '1.0.0', workspaces: ['w'] }),
    'w/package.json': JSON.stringify({ name: 'w', version: '1.0.0' }),
    'package-lock.json': JSON.stringify(lock),
    'show.mjs':
      'console.log(JSON.stringify({ args: process.argv.slice(2), exec: process.execArgv, path: process.env.PATH }))\nprocess.exit(7)\n',
  })
  mkdirSync(join(root, 'tools/setup'), { recursive: true })
  copyFileSync(join(repositoryRoot, 'tools/setup.mjs'), join(root, 'tools/setup.mjs'))
  for (const name of readdirSync(import.meta.dirname).filter((name) => name.endsWith('.mjs'))) {
    copyFileSync(join(import.meta.dirname, name), join(root, 'tools/setup', name))
  }
  return root
}

const start = (root: string, ...args: string[]) => spawn(process.execPath, ['tools/setup.mjs', ...args], { cwd: root })

async function run(root: string, ...args: string[]) {
  const child = start(root, ...args)
  const [out, err, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { out, err, status: status as number | null }
}

test('setup: installs once, then only looks, and installs again when the lock file changes', async (t) => {
  const root = makeCheckout(t)
  assert.match((await run(root, '--then', 'show.mjs')).err, /Installing packages/)
  const link = join(root, 'node_modules/.bin/node')
  assert.equal(realpathSync(link), realpathSync(process.execPath), 'the Node of the machine is found in the checkout too')
  assert.equal((await run(root, '--then', 'show.mjs')).err, '')
  writeFileSync(
    join(root, 'package-lock.json'),
    JSON.stringify({
      ...lock,
      packages: { ...lock.packages, 'node_modules/gone': { version: '1.0.0', optional: true, os: ['none'] } },
    }),
  )
  assert.equal((await run(root, '--then', 'show.mjs')).err, '', 'a package for another system is not missing')
  rmSync(join(root, 'node_modules'), { recursive: true })
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify(lock))
  assert.match((await run(root, '--then', 'show.mjs')).err, /Installing packages/)
})

test('setup: the program gets its arguments, our tools in PATH and the source condition; its status is ours', async (t) => {
  const root = makeCheckout(t)
  const { out, status } = await run(root, '--quiet', '--then', 'show.mjs', '--watch', 'a b')
  const shown = JSON.parse(out) as { args: string[]; exec: string[]; path: string }
  assert.deepEqual(shown.args, ['--watch', 'a b'])
  assert.deepEqual(shown.exec, ['-C', 'source'])
  assert.equal(shown.path.split(':')[0], join(root, 'node_modules/.bin'))
  assert.equal(status, 7)
})

test('setup: two at once install once', async (t) => {
  const root = makeCheckout(t)
  const both = await Promise.all([run(root, '--then', 'show.mjs'), run(root, '--then', 'show.mjs')])
  assert.deepEqual(
    both.map(({ status }) => status),
    [7, 7],
  )
  assert.equal(both.filter(({ err }) => err.includes('Installing packages')).length, 1)
  assert.equal(existsSync(join(root, '.tools/setup.lock')), false)
})

test('setup: the lock of a run that was killed is put aside', async (t) => {
  const root = makeCheckout(t)
  mkdirSync(join(root, '.tools'))
  // Our own process id with another start time: the number has been used again.
  writeFileSync(join(root, '.tools/setup.lock'), `${process.pid} 1`)
  const { err, status } = await run(root, '--then', 'show.mjs')
  assert.equal(status, 7)
  assert.doesNotMatch(err, /waiting/)
  assert.deepEqual(readdirSync(join(root, '.tools')), [])
})

test('setup: an error of npm is said in its words, once, with status 1', async (t) => {
  const root = makeCheckout(t)
  writeFileSync(join(root, 'w/package.json'), 'no JSON')
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ ...lock, packages: { '': lock.packages[''] } }))
  const { err, status } = await run(root, '--then', 'show.mjs')
  assert.equal(status, 1)
  assert.match(err, /Setup: The packages of package-lock\.json could not be installed:\nnpm error code EJSONPARSE/)
})

test('setup: a package.json that asks for something the lock file does not know is said', async (t) => {
  const root = makeCheckout(t)
  writeFileSync(join(root, 'w/package.json'), JSON.stringify({ name: 'w', version: '1.0.0', dependencies: { zod: '4.0.0' } }))
  const { err, status } = await run(root, '--then', 'show.mjs')
  assert.equal(status, 1)
  assert.equal(err, 'Setup: package-lock.json does not fit w/package.json. Run npm install and commit what it changes.\n')
})

test('setup: an unknown option is refused', async (t) => {
  const { err, status } = await run(makeCheckout(t), '--fast')
  assert.equal(status, 1)
  assert.match(err, /--fast is not known/)
})

/** Waits until the program is ready, asks it to stop, and returns how it ended. */
async function stopWhenReady(t: TestContext, child: ChildProcessWithoutNullStreams) {
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  const isReady = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes('ready')) resolve()
    })
  })
  const closed = once(child, 'close')
  await Promise.race([isReady, closed])
  child.kill('SIGTERM')
  const [status] = (await closed) as [number | null]
  return { status, output }
}

const program = `process.on('SIGTERM', () => { console.log('asked to stop'); process.exit(5) })
setInterval(() => {}, 1000)
console.log('ready')
`

test('setup: a signal reaches the program, and its end is ours', async (t) => {
  const root = makeCheckout(t)
  writeFileSync(join(root, 'program.mjs'), program)
  const { status, output } = await stopWhenReady(t, start(root, '--then', 'program.mjs'))
  assert.equal(status, 5)
  assert.match(output, /asked to stop/)
})

test('setup: the same where the setup cannot become the program, as on an older Node', async (t) => {
  const root = makeCheckout(t)
  writeFileSync(join(root, 'program.mjs'), program)
  const launcher = `import { launch } from './tools/setup/launch.mjs'
await launch(process.execPath, ['program.mjs'], process.env)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', launcher], { cwd: root })
  const { status, output } = await stopWhenReady(t, child)
  assert.equal(status, 5)
  assert.match(output, /asked to stop/)
})
