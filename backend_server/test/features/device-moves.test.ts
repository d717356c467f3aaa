import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  type DeviceHealth,
  type DeviceHealthChange,
  type DeviceStatusChange,
  deviceHealthMoves,
  deviceMoves,
  type Lease,
  type LeaseAsk,
  leaseAskMoves,
  leaseMoves,
} from '@virtualpytest/shared'
import { sql } from 'kysely'
import { startLab, until } from '../start-lab.ts'
import { addPerson, heldBy, leaseIdOf } from './person.ts'

/* The documented state machines (docs/glossary.md), move by move, as people and hosts cause them through the API. */

const apiKey = 'shared-key-of-this-lab'
const movesOf = (table: Record<string, readonly string[]>): string[] =>
  Object.entries(table)
    .flatMap(([from, nexts]) => nexts.map((to) => `${from} > ${to}`))
    .sort()

async function movesLab(t: TestContext, devices: number) {
  const lab = await startLab(t, {
    env: { AUTH_MODE: 'required', API_KEY: apiKey },
    host: { apiKey, devices },
    timings: { sweepMs: 100, idleCheckMs: 200 },
  })
  const [root, ann, bob] = [await addPerson(lab, 'Root', 'admin'), await addPerson(lab, 'Ann'), await addPerson(lab, 'Bob')]
  const set = async (device: string, status: string, more: object = {}): Promise<string> => {
    const path = `/server/devices/lab-1/${device}/status`
    const answer = await lab.call('PUT', path, { token: root.token, body: { status, reason: 'moved', ...more } })
    return answer.status === 200 ? 'done' : String(answer.body.code)
  }
  /** The host says which devices it has; those with higher numbers are gone. */
  const announce = async (count: number) => {
    const [host] = lab.hosts
    assert.ok(host)
    host.options.devices = count
    await host.register()
  }
  return { lab, root, ann, bob, set, announce }
}

test('every move of the state machine of a device happens through the API, with a reason, and no other one does', async (t) => {
  const { lab, ann, set, announce } = await movesLab(t, 6)
  const device = (number: number) => `device${number}`
  await ann.take('device1')
  assert.equal(await set('device1', 'available'), 'illegal_move', 'a lease is ended by its own routes')
  assert.equal(await set('device1', 'maintenance'), 'device_locked', 'not without force')
  await ann.release('device1')
  for (const status of ['maintenance', 'available', 'retired']) assert.equal(await set('device1', status), 'done')
  for (const status of ['available', 'maintenance']) assert.equal(await set('device1', status), 'illegal_move')
  assert.equal((await ann.take('device1')).status, 404)

  await ann.take('device2')
  for (const status of ['maintenance', 'retired']) assert.equal(await set('device2', status, { force: true }), 'done')
  await ann.take('device3')
  assert.equal(await set('device3', 'retired', { force: true }), 'done')

  // Three devices that their host no longer has, and then has again.
  const kept = leaseIdOf(await ann.take('device4'))
  await announce(3)
  assert.equal(await set('device5', 'available'), 'illegal_move', 'nobody can say that a host is back but the host')
  for (const status of ['maintenance', 'available']) assert.equal(await set('device5', status), 'done')
  for (const status of ['maintenance', 'retired']) assert.equal(await set('device6', status), 'done')
  await announce(5)
  const back = await ann.holder('device4')
  assert.deepEqual([back.status, back.holder?.lease_id], ['leased', kept], 'the lease went on')
  assert.equal((await ann.holder('device5')).status, 'available')
  await announce(3)
  assert.equal(await set('device5', 'retired'), 'done')

  const seen = new Set<string>()
  for (let number = 1; number <= 6; number += 1) {
    const path = `/server/devices/lab-1/${device(number)}/history`
    for (let before: number | null = Number.MAX_SAFE_INTEGER; before !== null; ) {
      const page: { history: DeviceStatusChange[]; next_before: number | null } = (
        await lab.get<{ history: DeviceStatusChange[]; next_before: number | null }>(`${path}?limit=3&before=${before}`, {
          token: ann.token,
        })
      ).body
      for (const { from_status, to_status, reason, actor } of page.history) {
        if (from_status !== null) seen.add(`${from_status} > ${to_status}`)
        assert.ok(reason && actor, `${from_status} > ${to_status} without reason or actor`)
      }
      before = page.next_before
    }
  }
  assert.deepEqual([...seen].sort(), movesOf(deviceMoves))
})

test('every move of a lease and of a question to its holder happens through the API', async (t) => {
  const { lab, root, ann, bob } = await movesLab(t, 1)
  const settings = await lab.call('PUT', '/server/lease-settings', { token: root.token, body: { ask_again_seconds: 0 } })
  assert.equal(settings.status, 200, settings.text)
  const leases = new Set<string>()
  const asks = new Set<string>()
  const wait = async () => leaseIdOf(await bob.take('device1', { wait: true }))
  const statusOf = async (id: string): Promise<string | undefined> =>
    (await lab.get<{ leases: Lease[] }>('/server/leases?status=all', { token: ann.token })).body.leases.find(
      (one) => one.id === id,
    )?.status
  const moved = async (id: string, from: 'waiting' | 'held', to: string) => {
    await until(`${from} > ${to}`, async () => (await statusOf(id)) === to)
    leases.add(`${from} > ${to}`)
  }
  const settled = async (id: string, to: string) => {
    const read = async () => (await lab.get<{ ask: LeaseAsk }>(`/server/lease-asks/${id}`, { token: ann.token })).body.ask.status
    await until(`open > ${to}`, async () => (await read()) === to)
    asks.add(`open > ${to}`)
  }

  const first = leaseIdOf(await ann.take())
  const place = await wait()
  assert.equal(await statusOf(place), 'waiting')
  assert.equal((await ann.extend(first, 60)).body.code, 'others_wait')
  await bob.leave(place)
  await moved(place, 'waiting', 'released')
  assert.equal((await ann.extend(first, 60)).status, 200, 'nobody waits any more')
  const silent = await wait()
  await lab.expireLease(silent)
  await moved(silent, 'waiting', 'expired')
  const granted = await wait()
  await ann.release()
  await moved(first, 'held', 'released')
  await moved(granted, 'waiting', 'held')
  await lab.expireLease(granted)
  await moved(granted, 'held', 'expired')

  const forced = leaseIdOf(await ann.take())
  const unlock = { host_name: 'lab-1', device_id: 'device1', reason: 'urgent' }
  assert.equal((await lab.post('/server/control/forceUnlock', unlock, { token: bob.token })).status, 200)
  await moved(forced, 'held', 'revoked')
  assert.deepEqual([...leases].sort(), movesOf(leaseMoves))

  await ann.take()
  const refused = await bob.ask()
  await ann.answer(refused.body.ask.id, false)
  await settled(refused.body.ask.id, 'refused')
  const left = await bob.ask()
  await bob.leave(left.body.waiting.lease_id)
  await settled(left.body.ask.id, 'void')
  const given = await bob.ask()
  await sql`update leases set last_activity_at = now() - interval '1 minute' where status = 'held'`.execute(lab.db.kysely)
  await sql`update lease_asks set answer_by = now() - interval '1 second' where status = 'open'`.execute(lab.db.kysely)
  await settled(given.body.ask.id, 'given')
  await heldBy(bob, 'Bob')
  assert.deepEqual([...asks].sort(), movesOf(leaseAskMoves))
})

test('every move of the health of a device happens through the API, with reason, actor and run', async (t) => {
  const { lab, ann } = await movesLab(t, 2)
  const [host] = lab.hosts
  assert.ok(host)
  let works = true
  host.calls.override = ({ path }) =>
    works || path !== '/host/av/takeScreenshot' ? undefined : { status: 500, body: { success: false, error: 'no signal' } }
  const read = async (device: string) =>
    (
      await lab.get<{ health: DeviceHealth; history: DeviceHealthChange[] }>(`/server/devices/lab-1/${device}/health`, {
        token: ann.token,
      })
    ).body
  const becomes = (device: string, state: string) =>
    until(`${device} is ${state}`, async () => (await read(device)).health.state === state || undefined)
  const check = async (device: string, isGood: boolean) => {
    works = isGood
    const answer = await lab.post(`/server/devices/lab-1/${device}/check`, {}, { token: ann.token })
    assert.equal(answer.status, 202, answer.text)
  }
  const alert = (device: string) =>
    lab.post(
      '/server/alerts/report',
      {
        host_name: 'lab-1',
        alerts: [
          {
            id: crypto.randomUUID(),
            device_id: device,
            type: 'freeze',
            status: 'active',
            consecutive_count: 30,
            started_at: new Date().toISOString(),
            ended_at: null,
            evidence: {},
          },
        ],
      },
      { headers: { 'x-api-key': apiKey } },
    )

  await check('device1', true)
  await becomes('device1', 'good')
  // The device is held, so that the check of the server itself comes after what is looked at here.
  await ann.take('device1')
  await alert('device1')
  await becomes('device1', 'suspect')
  await ann.release('device1')
  // Nobody has asked: the server checks what is under suspicion.
  await becomes('device1', 'good')
  await check('device1', false)
  // Suspect at once; bad only when the check that the server makes by itself fails too. That one is not made twice in ten minutes.
  await becomes('device1', 'suspect')
  await sql`update runs set queued_at = queued_at - interval '1 hour' where kind = 'health_check'`.execute(lab.db.kysely)
  await becomes('device1', 'bad')
  await check('device2', false)
  await becomes('device2', 'bad')
  await check('device2', true)
  await becomes('device2', 'good')

  const changes = [...(await read('device1')).history, ...(await read('device2')).history]
  for (const { reason, actor } of changes) assert.ok(reason && actor)
  assert.ok(changes.every(({ run_id, reason }) => run_id !== null || reason === 'alert: freeze'))
  assert.deepEqual([...new Set(changes.map((one) => `${one.from_health} > ${one.to_health}`))].sort(), movesOf(deviceHealthMoves))
})
