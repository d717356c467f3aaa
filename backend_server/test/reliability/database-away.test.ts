// T7, promise N7: the database may go away. Requests are answered 503 with Retry-After, nothing crashes, nobody loses a lease
// because of the absence, and the server is ready within 10 s of the return.
// Cuts: a PostgreSQL of its own is stopped for longer than leases live; killed with SIGKILL; frozen with SIGSTOP (half-open:
// connections stay, nothing answers). Judge: the answers during the absence, the leases and runs after it. Takes about 60 s.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { ApiError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/db/embedded/index.ts'
import { rowsOf } from '../../src/db/query.ts'
import { type Lab, startLab, until } from '../start-lab.ts'
import { createDatabase, silentLog } from '../test-cluster.ts'
import { figure, sizeOf } from './form.ts'
import { readHistory } from './history.ts'

const promisedMs = 10_000
/** What a machine may take longer that is busy with other tests. */
const slowMs = 20_000
const hostCount = 4
/** The jobs take an absence for one after 15 s. */
const longAbsenceMs = 18_000

interface Away {
  lab: Lab
  /** Starts a new PostgreSQL process on the same files and port. */
  startDatabase: () => Promise<void>
  database: () => EmbeddedPostgres
}

/** A lab on a PostgreSQL of its own; the hosts have runs without end, and a person holds one more device. */
async function startAway(t: TestContext): Promise<Away> {
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-away-'))
  const start = (): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ dataDir: path.join(folder, 'db'), log: silentLog, fsync: false })
  let database = await start()
  const stop = async (): Promise<void> => {
    await database.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const databaseUrl = await createDatabase(database.superuserUrl, 'away')
    const lab = await startLab(t, {
      databaseUrl,
      hosts: hostCount,
      timings: { graceSeconds: 8, sweepMs: 200, databaseWatchMs: 500 },
      host: { devices: 2, beatMs: 1000, runMs: () => 10 * 60_000 },
    })
    t.after(stop)
    for (const host of lab.hosts) {
      const target = { host_name: host.options.name, device_id: 'device1' }
      assert.equal((await lab.post('/server/script/execute', { ...target, script_name: 'demo' })).status, 202)
    }
    await until('the runs go on', () => lab.hosts.every((host) => host.runs.size === 1))
    await takeControl(lab, 'lab-1')
    return {
      lab,
      database: () => database,
      async startDatabase() {
        database = await start()
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function takeControl(lab: Lab, hostName: string): Promise<void> {
  const taken = await lab.post('/server/control/takeControl', { host_name: hostName, device_id: 'device2', user_id: 'ann' })
  assert.equal(taken.status, 200, taken.text)
}

const openLeases = (lab: Lab) =>
  rowsOf(
    lab.db,
    sql<{ token: number; holder_id: string; host: string }>`
      select l.token, l.holder_id, h.name as host from leases l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id
       where l.status = 'held' order by h.name, l.holder_id`,
  )

/** Asks as everybody does while the database is away, and returns what was answered. */
async function askAll(lab: Lab): Promise<string[]> {
  const target = { host_name: 'lab-2', device_id: 'device2' }
  const answers = await Promise.all([
    lab.get<Partial<ApiError>>('/server/runs'),
    lab.get<Partial<ApiError>>('/server/system/getAllHosts'),
    lab.post<Partial<ApiError>>('/server/control/takeControl', { ...target, user_id: 'bob' }),
    lab.post<Partial<ApiError>>('/server/script/execute', { ...target, script_name: 'demo' }),
    lab.post<Partial<ApiError>>('/server/system/ping', { host_name: 'lab-2' }),
    lab.post<Partial<ApiError>>('/server/script/taskComplete', { task_id: '00000000-0000-4000-8000-000000000000', result: {} }),
  ])
  return answers.map(
    ({ status, body, headers }) => `${status} ${body.code ?? ''} ${headers.get('retry-after') === null ? '' : 'retry'}`,
  )
}
const refused = '503 database_unavailable retry'

async function backWithin(lab: Lab, from: number): Promise<number> {
  await until('the server is ready again', async () => (await lab.get('/readyz')).status === 200)
  const ms = performance.now() - from
  assert.ok(ms <= promisedMs + slowMs)
  return ms
}

test('T7, R2, R4: the database stops for longer than leases live, and nobody loses a lease', async (t) => {
  const { lab, database, startDatabase } = await startAway(t)
  await until('the sweep is at work', async () => {
    // Proved by a lease that it ends; the ones that the test is about have their holders.
    const [lease] = await rowsOf(lab.db, sql<{ id: string }>`select id from leases where holder_id = 'ann'`)
    if (!lease) return false
    await lab.expireLease(lease.id)
    const held = await openLeases(lab)
    return !held.some((one) => one.holder_id === 'ann')
  })
  await takeControl(lab, 'lab-1')
  const before = await openLeases(lab)
  assert.equal(before.length, hostCount + 1)

  // As if the absence were much longer than the test: at the return every lease is long over.
  await Promise.all(lab.hosts.map((host) => host.stopBeating()))
  await sql`update runs set alive_until = now() + interval '12 seconds' where status = 'running'`.execute(lab.db.kysely)
  await sql`update leases set expires_at = now() + interval '12 seconds' where status = 'held' and holder_kind = 'run'`.execute(
    lab.db.kysely,
  )
  await sql`update hosts set last_seen_at = now() - interval '1 hour'`.execute(lab.db.kysely)
  await database().stop()
  for (const host of lab.hosts) host.startBeating()
  const stoppedAt = performance.now()
  await until('the absence is noticed', async () => (await lab.get('/readyz')).status === 503)
  let calls = 0
  while (performance.now() - stoppedAt < Math.max(longAbsenceMs, sizeOf('TEST_SECONDS', 1) * 1000)) {
    const answers = await askAll(lab)
    calls += answers.length
    assert.deepEqual(new Set(answers), new Set([refused]))
    const health = await lab.get<{ status: string; database: string }>('/health')
    assert.deepEqual(
      [health.status, health.body.status],
      [200, 'degraded'],
      'a health check must not restart a server without database',
    )
    assert.equal((await lab.get('/livez')).status, 200)
    await pause(500)
  }
  const from = performance.now()
  await startDatabase()
  const backMs = await backWithin(lab, from)
  await pause(10_000) // longer than the time of grace: whatever the sweep would end is ended by now
  assert.deepEqual(await openLeases(lab), before, 'a lease was lost by the absence')
  const hosts = await rowsOf(lab.db, sql<{ status: string }>`select status from hosts`)
  assert.ok(hosts.every((host) => host.status === 'online'))
  assert.ok(lab.hosts.every((host) => host.runs.size === 1 && !host.ledger.some((entry) => entry.event === 'lost')))
  assert.deepEqual((await readHistory(lab.db)).problems, [])
  figure(
    t,
    'T7 stopped',
    `${Math.round((from - stoppedAt) / 1000)} s away: ${calls} calls answered 503 with Retry-After, ${before.length} of ${before.length} leases kept, ready ${Math.round(backMs)} ms after the start of PostgreSQL began`,
  )
})

test('T7: PostgreSQL is killed under load, and the server goes on with the next one', async (t) => {
  const { lab, database, startDatabase } = await startAway(t)
  const before = await openLeases(lab)
  const answers: string[] = []
  let isOver = false
  const load = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!isOver) answers.push(...(await askAll(lab)))
    }),
  )
  const rounds = sizeOf('TEST_ROUNDS', 2)
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    await pause(500)
    const dying = database()
    process.kill(dying.pid, 'SIGKILL')
    await until('PostgreSQL is gone', () => !isAlive(dying.pid))
    await pause(1500)
    const from = performance.now()
    await startDatabase()
    times.push(await backWithin(lab, from))
  }
  isOver = true
  await load
  const kinds = new Set(answers.filter((answer) => !/^(200|202|423) /.test(answer)))
  assert.deepEqual(kinds, new Set([refused]), 'answers while PostgreSQL was being killed')
  await until('the leases are renewed', async () => (await lab.get('/readyz')).status === 200)
  const after = await openLeases(lab)
  for (const lease of before) {
    assert.ok(
      after.some((one) => one.host === lease.host && one.token === lease.token),
      `the lease of ${lease.holder_id} was lost`,
    )
  }
  assert.deepEqual((await readHistory(lab.db)).problems, [])
  figure(
    t,
    'T7 killed',
    `${rounds} kills under load, ${answers.length} answers, none but 503 failed, ready after at most ${Math.round(Math.max(...times))} ms`,
  )
})

test('T7: PostgreSQL is frozen, and calls end with 503 instead of hanging', async (t) => {
  const { lab, database } = await startAway(t)
  const before = await openLeases(lab)
  const processes = [database().pid, ...childrenOf(database().pid)]
  for (const pid of processes) process.kill(pid, 'SIGSTOP')
  t.after(() => {
    for (const pid of processes) if (isAlive(pid)) process.kill(pid, 'SIGCONT')
  })
  const from = performance.now()
  const asked = [askAll(lab)]
  await pause(8000)
  asked.push(askAll(lab))
  const health = await lab.get<{ status: string }>('/health')
  const frozenMs = performance.now() - from
  for (const pid of processes) process.kill(pid, 'SIGCONT')
  const backFrom = performance.now()
  assert.deepEqual([health.status, health.body.status], [200, 'degraded'])
  const backMs = await backWithin(lab, backFrom)
  const answers = (await Promise.all(asked)).flat()
  assert.deepEqual(
    answers.filter((answer) => answer !== refused && !/^(200|202|423) /.test(answer)),
    [],
    'answers while PostgreSQL was frozen',
  )
  await pause(4000)
  const after = await openLeases(lab)
  for (const lease of before) assert.ok(after.some((one) => one.host === lease.host && one.token === lease.token))
  assert.deepEqual((await readHistory(lab.db)).problems, [])
  figure(
    t,
    'T7 frozen',
    `${Math.round(frozenMs / 1000)} s frozen, ${answers.length} calls, none hung or failed, ready ${Math.round(backMs)} ms later`,
  )
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number)
