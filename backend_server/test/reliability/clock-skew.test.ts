// Promise: the clocks of server and agents decide nothing; expiry is judged by the clock of the database (D4).
// Moves the clock of the server process, or of a real agent process, by 5 min either way (libfaketime). Judge: the same story
// is told with every clock, and what happened is compared. Takes about 30 s.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import test, { type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Run } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { clockMovedBy, faketime } from '../db/faketime.ts'
import { cleanUp, temporaryFolder } from '../db/tools.ts'
import { FakeHost } from '../fakes/fake-host.ts'
import { programEnv } from '../program-env.ts'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { figure } from './form.ts'

const fileOf = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))
const skip = faketime === undefined ? 'needs libfaketime (apt-get install faketime)' : false

function startNode(t: TestContext, file: string, args: string[], env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, ['-C', 'source', file, ...args], {
    env: { ...programEnv(), ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  cleanUp(t, async () => {
    child.kill('SIGKILL')
    await once(child, 'close')
  })
  return child
}

interface Skew {
  server: number
  agent: number
}

/** What happened, in words that do not depend on when. */
async function tellStory(t: TestContext, skew: Skew): Promise<Record<string, unknown>> {
  const { url: databaseUrl, db } = await createTestDatabase(t)
  const folder = temporaryFolder(t)
  const server = startNode(
    t,
    fileOf('./programs/quick-server.ts'),
    [databaseUrl, path.join(folder, 'server')],
    clockMovedBy(skew.server),
  )
  assert.ok(server.stdout)
  const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string]
  const { url, now } = JSON.parse(line) as { url: string; now: number }
  assert.ok(Math.abs(now - Date.now() - skew.server * 1000) < 20_000, 'the clock of the server is where the test wants it')

  const scripts = path.join(folder, 'scripts')
  mkdirSync(scripts)
  writeFileSync(path.join(scripts, 'short.sh'), 'date +%s; sleep 1; echo SCRIPT_SUCCESS:true\n')
  startNode(t, fileOf('../../../backend_host/src/main.ts'), [], {
    ...clockMovedBy(skew.agent),
    SERVER_URL: url,
    HOST_NAME: 'real',
    HOST_PORT: '0',
    DATA_DIR: path.join(folder, 'agent'),
    TEST_SCRIPTS_DIR: scripts,
    DEVICE1_NAME: 'box',
    DEVICE1_MODEL: 'stb',
    DEVICE1_DRIVER: 'sim',
    LOG_LEVEL: 'silent',
  }).stdout?.resume()
  await until('the server is ready', async () => (await fetch(`${url}/readyz`)).status === 200)
  const steady = new FakeHost({ name: 'steady', serverUrl: () => url, beatMs: 1000 })
  cleanUp(t, () => steady.kill())
  await steady.start()

  const call = async <T>(method: string, where: string, body?: object): Promise<T> => {
    const answer = await fetch(`${url}${where}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
    return (await answer.json()) as T
  }
  interface Listed {
    hosts: { host_name: string; status: string }[]
  }
  const hosts = async (): Promise<Record<string, string>> => {
    const { hosts: all } = await call<Listed>('GET', '/server/system/getAllHosts')
    return Object.fromEntries(all.map(({ host_name, status }) => [host_name, status]))
  }
  await until('both hosts are there', async () => Object.keys(await hosts()).length === 2)
  const take = { host_name: 'steady', device_id: 'device1', user_id: 'ann' }
  const taken = await call<{ success: boolean }>('POST', '/server/control/takeControl', take)
  const order = { host_name: 'real', device_id: 'device1', script_name: 'short.sh' }
  const { run_id: id } = await call<{ run_id: string }>('POST', '/server/script/execute', order)
  const run = await until('the run has ended', async () => {
    const { run: found } = await call<{ run: Run }>('GET', `/server/runs/${id}`)
    return found.finished_at === null ? undefined : found
  })
  // Many sweeps later whoever beats is still there, and the person still holds the device.
  await pause(2000)
  const heldFor = await sql<{ id: string; seconds: number }>`
    select id, extract(epoch from expires_at - now())::int as seconds from leases where status = 'held'`.execute(db.kysely)
  const later = await hosts()
  // What is over by the clock of the database ends, whatever the others say.
  await sql`update leases set expires_at = now() - interval '1 second' where status = 'held'`.execute(db.kysely)
  await until('the lease has ended', async () => {
    const found = await sql<{ status: string }>`select status from leases where id = ${heldFor.rows[0]?.id}`.execute(db.kysely)
    return found.rows[0]?.status === 'expired'
  })
  await steady.stopBeating()
  await sql`update hosts set last_seen_at = now() - interval '31 seconds' where name = 'steady'`.execute(db.kysely)
  await until('the silent host is offline', async () => (await hosts()).steady !== 'online')
  return {
    taken: taken.success,
    run: run.status,
    error: run.error_code,
    duration:
      Date.parse(run.finished_at ?? '') - Date.parse(run.started_at ?? '') < 20_000
        ? 'short'
        : `${run.started_at} ${run.finished_at}`,
    finished: Math.abs(Date.parse(run.finished_at ?? '') - Date.now()) < 60_000 ? 'now' : run.finished_at,
    held: heldFor.rows.map(({ seconds }) => (seconds > 150 && seconds <= 300 ? 'for 5 min' : `for ${seconds} s`)),
    hosts: later,
    atTheEnd: await hosts(),
  }
}

const expected = {
  taken: true,
  run: 'passed',
  error: null,
  duration: 'short',
  finished: 'now',
  held: ['for 5 min'],
  hosts: { real: 'online', steady: 'online' },
  atTheEnd: { real: 'online', steady: 'offline' },
}

for (const [name, skew] of [
  ['no clock', { server: 0, agent: 0 }],
  ['the clock of the server 5 min ahead', { server: 300, agent: 0 }],
  ['the clock of the server 5 min behind', { server: -300, agent: 0 }],
  ['the clock of the agent 5 min ahead', { server: 0, agent: 300 }],
  ['the clock of the agent 5 min behind', { server: 0, agent: -300 }],
] as const) {
  test(`T12, D4: leases, runs and hosts are the same with ${name} moved`, { skip }, async (t) => {
    assert.deepEqual(await tellStory(t, skew), expected)
    figure(t, 'T12', `${name} moved: same story`)
  })
}
