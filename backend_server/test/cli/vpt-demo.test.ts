import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { startVpt, vpt } from './run-vpt.ts'

const startLimitMs = 240_000

async function startDemo(t: TestContext, env: Record<string, string> = {}) {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'vpt-demo-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const demo = startVpt(t, ['demo'], { SERVER_PORT: '0', DATA_DIR: dataDir, ...env })
  await until('the lab is ready', () => demo.stdout().includes('Ctrl-C stops the lab') || hasEnded(demo.child), startLimitMs)
  assert.ok(!hasEnded(demo.child), demo.stderr())
  const url = /Server +(http:\/\/127\.0\.0\.1:\d+)/.exec(demo.stdout())?.[1] ?? ''
  return { demo, dataDir, url }
}

const hasEnded = (child: { exitCode: number | null; signalCode: string | null }): boolean =>
  child.exitCode !== null || child.signalCode !== null

const isAnswering = (url: string): Promise<boolean> =>
  fetch(`${url}/livez`, { signal: AbortSignal.timeout(10_000) }).then(
    (response) => response.ok,
    () => false,
  )

/** The demo itself tells nobody which process is its host agent. */
async function findHostProcess(demoPid: number): Promise<number> {
  const children = (await readFile(`/proc/${demoPid}/task/${demoPid}/children`, 'utf8')).trim().split(' ').map(Number)
  for (const pid of children) if ((await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('backend_host')) return pid
  return assert.fail('the demo has no host agent')
}

test('vpt demo brings up a lab, prints the command that works next, and stops it in order', async (t) => {
  const { demo, dataDir, url } = await startDemo(t)
  const command = /npm run -s vpt -- (run .*)$/m.exec(demo.stdout())?.[1] ?? ''
  assert.match(
    demo.stdout(),
    new RegExp(`VPT_SERVER=${url} npm run -s vpt -- run zapping\\.ts --device demo-host:device1 --watch`),
  )
  assert.match(demo.stdout(), new RegExp(`${url}/health`))
  assert.match(demo.stdout(), new RegExp(`${url}/server/docs`))
  const run = await vpt(t, command.split(' '), { VPT_SERVER: url })
  assert.equal(run.code, 0, run.stdout + run.stderr)
  // What the device gives is JPEG: no name may say otherwise.
  const picture = path.join(dataDir, 'home.png')
  const misnamed = await vpt(t, ['screenshot', 'demo-host:device1', '-o', picture], { VPT_SERVER: url })
  assert.deepEqual([misnamed.code, misnamed.stdout, existsSync(picture)], [2, '', false])
  assert.match(misnamed.stderr, /gives JPEG[\s\S]*-o .*home\.jpg/)
  const logs = await Promise.all(['server.log', 'host.log'].map((name) => readFile(path.join(dataDir, 'logs', name), 'utf8')))
  for (const log of logs)
    for (const line of log.trimEnd().split('\n')) assert.equal(typeof (JSON.parse(line) as { level: unknown }).level, 'number')
  demo.child.kill('SIGTERM')
  assert.equal(await demo.ended, 0, demo.stderr())
  assert.equal(await isAnswering(url), false)
  const [serverLog = '', hostLog = ''] = await Promise.all(
    ['server.log', 'host.log'].map((name) => readFile(path.join(dataDir, 'logs', name), 'utf8')),
  )
  assert.match(hostLog, /"host agent stopped"/)
  assert.ok(
    serverLog.indexOf('"host unregistered"') > 0 && serverLog.indexOf('"host unregistered"') < serverLog.indexOf('"stopping"'),
    'the host first',
  )
})

test('the programs of a demo that was killed end by themselves, and it can be started again', async (t) => {
  const { demo, dataDir, url } = await startDemo(t)
  demo.child.kill('SIGKILL')
  await demo.ended
  await until('the server has ended', async () => !(await isAnswering(url)))
  const again = startVpt(t, ['demo'], { SERVER_PORT: '0', DATA_DIR: dataDir })
  await until('the lab is ready again', () => again.stdout().includes('Ctrl-C stops the lab'), startLimitMs)
  await t.test('a second one on the same data says why its server cannot start, and ends with an error', async () => {
    const second = await vpt(t, ['demo'], { SERVER_PORT: '0', DATA_DIR: dataDir })
    assert.equal(second.code, 1)
    assert.match(second.stderr, /The server ended \(exit status 1\)/)
    assert.ok(second.stderr.trim().split('\n').length >= 2, 'with the reason')
  })
  again.child.kill('SIGTERM')
  assert.equal(await again.ended, 0, again.stderr())
})

test('a demo that requires tokens prints the first one once and keeps it out of its log; the host that dies comes back', async (t) => {
  const { url: DATABASE_URL } = await createTestDatabase(t)
  const { demo, dataDir, url } = await startDemo(t, { DATABASE_URL, AUTH_MODE: 'required', HOST_REGISTRATION: 'key' })
  const token = /^ {2}(vpt_\S+)$/m.exec(demo.stdout())?.[1]
  assert.ok(token, demo.stdout())
  assert.match(demo.stdout(), /VPT_TOKEN=\.\.\. npm run/)
  const env = { VPT_SERVER: url, VPT_TOKEN: token }
  assert.match((await vpt(t, ['devices'], env)).stdout, /demo-host:device1 .* available/)
  const logFile = path.join(dataDir, 'logs', 'host.log')
  process.kill(await findHostProcess(demo.child.pid ?? 0), 'SIGKILL')
  const registrations = async (): Promise<number> => (await readFile(logFile, 'utf8')).match(/"registered"/g)?.length ?? 0
  await until('the host has registered again', async () => (await registrations()) >= 2)
  assert.match(demo.stderr(), /The host agent ended \(signal SIGKILL\)/)
  demo.child.kill('SIGTERM')
  assert.equal(await demo.ended, 0, demo.stderr())
  assert.ok(!(await readFile(path.join(dataDir, 'logs', 'server.log'), 'utf8')).includes(token))
})

test('a demo whose settings are wrong says why and ends with an error', async (t) => {
  const bad = await vpt(t, ['demo'], { SERVER_PORT: 'harbor' })
  assert.equal(bad.code, 1)
  assert.match(bad.stderr, /SERVER_PORT must be a port number/)
})
