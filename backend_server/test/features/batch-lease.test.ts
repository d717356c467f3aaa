import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { firstRow } from '../../src/db/query.ts'
import { startLab, until } from '../start-lab.ts'
import { addPerson, heldBy, leaseIdOf, type Person } from './person.ts'

/* Work by hand stands on a lease: on that of whoever asks, or on one of its own where the device was free. */

const apiKey = 'shared-key-of-this-lab'
type Run = Record<'status' | 'kind' | 'error_code' | 'error_message', string>

async function batchLab(t: TestContext) {
  const lab = await startLab(t, {
    env: { AUTH_MODE: 'required', API_KEY: apiKey },
    host: { apiKey, devices: 3, batchMs: 600_000 },
    timings: { sweepMs: 200 },
  })
  const [ann, bob] = [await addPerson(lab, 'Ann'), await addPerson(lab, 'Bob')]
  const start = (who: Person, device = 'device1') =>
    lab.post<{ run_id: string; code?: string }>(
      '/server/action/executeBatch',
      { host_name: 'lab-1', device_id: device, actions: [{ command: 'press_key', params: { key: 'OK' } }] },
      { token: who.token },
    )
  const ended = (id: string): Promise<Run> =>
    until('the batch has ended', async () => {
      const { run } = (await lab.get<{ run: Run }>(`/server/runs/${id}`, { token: ann.token })).body
      return run.status !== 'running' && run
    })
  const stoppedOnHost = (id: string) =>
    until('the host was told', () => lab.hosts[0]?.calls.seen.some(({ path }) => path === `/host/action/execution/${id}/cancel`))
  return { lab, ann, bob, start, ended, stoppedOnHost }
}

test('a batch that somebody starts on their device ends with that lease: given back, taken away or given to others', async (t) => {
  const { lab, ann, bob, start, ended, stoppedOnHost } = await batchLab(t)
  const lease = leaseIdOf(await ann.take())
  const first = await start(ann)
  assert.equal(first.status, 200, first.text)
  const seen = (await bob.holder()).holder
  assert.deepEqual([seen?.kind, seen?.name, seen?.run?.path], ['user', 'Ann', `/server/runs/${first.body.run_id}`])
  await ann.release()
  const released = await ended(first.body.run_id)
  assert.deepEqual([released.status, released.error_code], ['cancelled', 'lease_lost'])
  assert.match(released.error_message, /the lease under which it began has ended \(released: given back\)/)
  await stoppedOnHost(first.body.run_id)
  assert.equal((await bob.holder()).holder, null, 'nothing keeps the device')
  const status = await lab.get<{ status: string; error: string }>(
    `/server/action/execution/${first.body.run_id}/status?host_name=lab-1`,
    { token: ann.token },
  )
  assert.equal(status.body.status, 'error')
  assert.match(status.body.error, /^lease_lost: /)

  await ann.take()
  const second = await start(ann)
  const asked = await bob.ask()
  await ann.answer(asked.body.ask.id, true)
  await heldBy(bob, 'Bob')
  assert.equal((await ended(second.body.run_id)).error_code, 'lease_lost')
  await stoppedOnHost(second.body.run_id)
  await bob.release()

  await ann.take()
  const third = await start(ann)
  const forced = { host_name: 'lab-1', device_id: 'device1', reason: 'release tonight' }
  await lab.post('/server/control/forceUnlock', forced, { token: bob.token })
  const taken = await ended(third.body.run_id)
  assert.equal(taken.status, 'cancelled')
  assert.match(taken.error_message, /the device was taken away: release tonight/)
  await stoppedOnHost(third.body.run_id)

  // Silence ends no lease while work goes on under it, as with scripts.
  const kept = leaseIdOf(await ann.take())
  assert.notEqual(kept, lease)
  await start(ann)
  // Bob's has no work, and ends: so the job has looked.
  const idle = leaseIdOf(await bob.take('device2'))
  for (const one of [kept, idle]) await lab.expireLease(one)
  await heldBy(bob, null, 'device2')
  assert.equal((await bob.holder()).holder?.name, 'Ann')
})

test('a batch on a free device has it as a run, with its link, and nobody else gets in between', async (t) => {
  const { lab, ann, bob, start, ended } = await batchLab(t)
  const batch = await start(ann, 'device2')
  assert.equal(batch.status, 200, batch.text)
  const { status, holder } = await bob.holder('device2')
  assert.deepEqual(
    [status, holder?.kind, holder?.name, holder?.run?.id, holder?.run?.path],
    ['leased', 'run', 'press_key OK', batch.body.run_id, `/server/runs/${batch.body.run_id}`],
  )
  const sent = lab.hosts[0]?.calls.last('/host/action/executeBatch').body
  const token = await firstRow(lab.db, sql<{ token: number }>`select token from leases where status = 'held'`)
  assert.equal(sent?.token, token?.token, 'the host gets the fence of this very lease')
  for (const refused of [await bob.take('device2'), await start(bob, 'device2')])
    assert.deepEqual([refused.status, refused.body.code], [423, 'device_locked'])

  // A second one of the same person works beside it, and the device stays theirs until the last has ended.
  const beside = await start(ann, 'device2')
  assert.equal(beside.status, 200, beside.text)
  await lab.post(`/server/runs/${batch.body.run_id}/cancel`, {}, { token: ann.token })
  await sql`update runs set cancel_requested_at = now() - interval '1 minute' where id = ${batch.body.run_id}`.execute(
    lab.db.kysely,
  )
  assert.equal((await ended(batch.body.run_id)).status, 'cancelled')
  assert.equal((await bob.holder('device2')).holder?.run?.id, beside.body.run_id)
  const waiting = await bob.take('device2', { wait: true })
  assert.equal(waiting.body.waiting, true)
  await sql`update runs set deadline_at = now() - interval '1 minute' where id = ${beside.body.run_id}`.execute(lab.db.kysely)
  assert.equal((await ended(beside.body.run_id)).error_code, 'deadline')
  await heldBy(bob, 'Bob', 'device2')

  // What only looks takes no device from anybody, and nobody's work waits for it.
  const look = async (who: Person, device: string) => {
    const check = { command: 'waitForTextToAppear', verification_type: 'text', userinterface_name: 'sample' }
    const body = { host_name: 'lab-1', device_id: device, verifications: [check] }
    const answer = await lab.post('/server/verification/executeBatch', body, { token: who.token })
    assert.equal(answer.status, 200, answer.text)
    return lab.hosts[0]?.calls.last('/host/verification/executeBatch').body.beside
  }
  assert.equal(await look(ann, 'device3'), undefined)
  assert.equal((await bob.holder('device3')).holder, null)
  assert.equal(await look(bob, 'device2'), undefined, 'the holder checks after what he has begun')
  assert.equal(await look(ann, 'device2'), true, 'somebody else beside it')

  await lab.call('PUT', '/server/devices/lab-1/device3/status', {
    token: (await addPerson(lab, 'Root', 'admin')).token,
    body: { status: 'maintenance', reason: 'new cable' },
  })
  const inMaintenance = await start(ann, 'device3')
  assert.deepEqual([inMaintenance.status, inMaintenance.body.code], [423, 'device_in_maintenance'])
})
