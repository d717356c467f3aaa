// Promise N1 over a restart: hosts, flags, leases of people and runs, waiting runs and the numbers of events are rows, so a
// server that stops and another that starts on the same database change none of them.
// Ends: the server in order, and once more with SIGKILL as a process. Judge: the answers before and after.
// Takes about 10 s.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Run } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { firstRow, rowsOf } from '../../src/db/query.ts'
import { FakeHost } from '../fakes/fake-host.ts'
import { type Lab, startLab, until } from '../start-lab.ts'
import { createTestDatabase } from '../test-db.ts'
import { readHistory } from './history.ts'
import { openServerSlot } from './server-process.ts'

/** What everybody sees; times that move with every beat are left out. */
async function seenBy(get: <Body>(path: string) => Promise<Body>) {
  const { hosts } = await get<{
    hosts: { host_name: string; status: string; registered_at: unknown; devices: Record<string, unknown>[] }[]
  }>('/server/system/getAllHosts')
  const { leases } = await get<{ leases: Record<string, unknown>[] }>('/server/leases')
  const { runs } = await get<{ runs: Run[] }>('/server/runs?status=open')
  return {
    hosts: hosts.map(({ host_name, status, registered_at, devices }) => ({
      host_name,
      status,
      registered_at,
      devices: devices.map(({ device_id, device_name, isLocked, lockedBy, status }) => ({
        device_id,
        device_name,
        isLocked,
        lockedBy,
        status,
      })),
    })),
    flags: await get('/server/device-flags'),
    leases: leases.map(({ id, host_name, device_id, holder, token, status, granted_at }) => ({
      id,
      host_name,
      device_id,
      holder,
      token,
      status,
      granted_at,
    })),
    runs: runs.map(({ id, status, queue_position, priority, attempt }) => ({ id, status, queue_position, priority, attempt })),
  }
}

const lastSeq = async (lab: Pick<Lab, 'db'>): Promise<number> =>
  (await firstRow(lab.db, sql<{ last_seq: number }>`select last_seq from event_counter`))?.last_seq ?? 0

/** A person on one device, a run at work on another, two runs waiting for it, and a flag. */
async function fill(
  post: (path: string, body: object) => Promise<{ status: number }>,
  hosts: readonly FakeHost[],
): Promise<void> {
  const expectStatus = async (status: number, path: string, body: object): Promise<void> =>
    assert.equal((await post(path, body)).status, status, path)
  const run = { host_name: 'lab-2', device_id: 'device1', script_name: 'demo', queue: true }
  await expectStatus(200, '/server/control/takeControl', { host_name: 'lab-1', device_id: 'device1', user_id: 'ann' })
  await expectStatus(202, '/server/script/execute', run)
  await until('the run goes on', () => hosts.some((host) => host.runs.size === 1))
  await expectStatus(202, '/server/script/execute', run)
  await expectStatus(202, '/server/script/execute', { ...run, priority: 90 })
}

test('N1: hosts, leases, waiting runs and event numbers survive an orderly restart', async (t) => {
  const lab = await startLab(t, { hosts: 2, host: { devices: 2, runMs: () => 10 * 60_000 } })
  await fill(lab.post, lab.hosts)
  await setFlag(lab.call)
  const get = async <Body>(path: string): Promise<Body> => (await lab.get<Body>(path)).body
  await until(
    'the run is reported to go on',
    async () => (await get<{ runs: Run[] }>('/server/runs?status=running')).runs.length === 1,
  )
  const before = await seenBy(get)
  const seq = await lastSeq(lab)
  assert.equal(before.leases.length, 2)
  assert.deepEqual(before.runs.map((run) => `${run.status} ${run.queue_position}`).toSorted(), [
    'queued 1',
    'queued 2',
    'running null',
  ])
  await lab.restart()
  assert.deepEqual(await seenBy(get), before)
  assert.ok((await lastSeq(lab)) >= seq)
  const [running] = before.runs.filter((run) => run.status === 'running')
  const host = lab.hosts[1]
  const order = running && host?.runs.get(running.id)?.order
  assert.ok(order && host)
  assert.equal(await host.sendResult(order, { exit_code: 0, outcome: 'passed', script_success: true }), 200)
  const next = await until('the waiting run with the higher priority is next', async () => {
    const { runs } = await get<{ runs: Run[] }>('/server/runs?status=running')
    return runs[0]
  })
  assert.equal(next.priority, 90)
  assert.deepEqual((await readHistory(lab.db)).problems, [], 'numbers of events go on without a gap')
})

test('N1: the same after SIGKILL', async (t) => {
  const hosts: FakeHost[] = []
  t.after(() => Promise.all(hosts.map((host) => host.kill())))
  const { url: databaseUrl, db } = await createTestDatabase(t)
  const slot = await openServerSlot(t, { databaseUrl: () => databaseUrl, env: { LOG_LEVEL: 'warn' } })
  const call = async (method: string, path: string, { body }: { body?: unknown } = {}) => {
    const response = await fetch(`${slot.url}${path}`, {
      method,
      ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    })
    return { status: response.status, body: await response.json() }
  }
  slot.start()
  await slot.waitUntilReady()
  for (const name of ['lab-1', 'lab-2']) {
    hosts.push(
      await new FakeHost({ name, serverUrl: () => slot.url, devices: 2, beatMs: 1000, runMs: () => 10 * 60_000 }).start(),
    )
  }
  await fill((path, body) => call('POST', path, { body }), hosts)
  await setFlag(call)
  const get = async <Body>(path: string): Promise<Body> => (await call('GET', path)).body as Body
  await until(
    'the run is reported to go on',
    async () => (await get<{ runs: Run[] }>('/server/runs?status=running')).runs.length === 1,
  )
  const before = await seenBy(get)
  slot.current().child.kill('SIGKILL')
  await slot.current().ended
  slot.start()
  await slot.waitUntilReady()
  assert.deepEqual(await seenBy(get), before)
  assert.deepEqual((await readHistory(db)).problems, [])
  assert.equal((await rowsOf(db, sql`select 1 from device_flags`)).length, 1)
})

async function setFlag(
  call: (method: string, path: string, options?: { body?: unknown }) => Promise<{ status: number; body: unknown }>,
) {
  const answer = await call('PUT', '/server/device-flags/lab-1/device1', { body: { flags: ['favorite'] } })
  assert.ok(answer.status < 300, JSON.stringify(answer.body))
}
