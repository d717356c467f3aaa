// Makes a checkout ready and, with --then, starts a program of it. Every npm script goes through this file.
//
//   node tools/setup.mjs [--quiet] [--with-system] [--then [--watch] FILE [ARGUMENTS...]]
//
// It runs on the machine's own Node, which may be older than the one the product needs, so it is plain
// JavaScript without packages. What it promises: running it again costs milliseconds, two runs at once do
// not disturb each other, and a run that was killed in the middle is repaired by the next one.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execute, launch, programEnvironment } from './setup/launch.mjs'
import { withLock } from './setup/lock.mjs'
import { findNode, installNode, linkNode } from './setup/node.mjs'
import { installPackages, linkDatabaseLibraries, packagesAreCurrent } from './setup/packages.mjs'

const oldestNode = 18
const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** @param {string} line */
const say = (line) => process.stderr.write(`${line}\n`)

/** @param {string[]} args */
function parse(args) {
  const options = { quiet: false, withSystem: false, watch: false, file: '', rest: [] }
  while (args.length > 0) {
    const arg = args.shift()
    if (arg === '--quiet') options.quiet = true
    else if (arg === '--with-system') options.withSystem = true
    else if (arg === '--then') {
      options.watch = args[0] === '--watch'
      if (options.watch) args.shift()
      options.file = args.shift() || ''
      if (options.file === '') throw new Error('--then needs the file to start.')
      options.rest = args.splice(0)
    } else throw new Error(`${arg} is not known here. Known: --quiet, --with-system, --then [--watch] FILE ARGUMENTS...`)
  }
  return options
}

/** Installs what is missing and returns the path of the Node that runs the product. */
async function prepare() {
  let node = findNode(root)
  if (!node || !packagesAreCurrent(root, node)) {
    await withLock(join(root, '.tools', 'setup.lock'), say, async () => {
      // Looked at again: the run that held the lock before this one has probably done the work.
      node = findNode(root) || (await installNode(root, say))
      if (!packagesAreCurrent(root, node)) await installPackages(root, node, say)
    })
  }
  linkNode(root, node)
  linkDatabaseLibraries(root, say)
  return node
}

/** Says which optional programs of the operating system are missing; installs them when asked to. */
function system(node, install) {
  const file = join(root, 'tools', 'system-packages.ts')
  const args = ['-C', 'source', file, ...(install ? ['--install'] : [])]
  const run = spawnSync(node.path, args, { stdio: ['ignore', 2, 2], env: programEnvironment(root, node) })
  if (run.status !== 0) throw new Error('The packages of the operating system could not be installed.')
}

async function main() {
  if (Number(process.versions.node.split('.')[0]) < oldestNode) {
    throw new Error(`This is Node ${process.versions.node}. The setup itself needs Node ${oldestNode} or newer.`)
  }
  const options = parse(process.argv.slice(2))
  const node = await prepare()
  if (options.withSystem || options.file === '') system(node, options.withSystem)
  if (options.file === '') {
    if (!options.quiet) say(`Ready: Node ${node.version}, packages as in package-lock.json.`)
    return
  }
  const args = ['-C', 'source', ...(options.watch ? ['--watch'] : []), join(root, options.file), ...options.rest]
  const env = programEnvironment(root, node)
  execute(node.path, args, env)
  await launch(node.path, args, env)
}

main().catch((error) => {
  say(`Setup: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
})
