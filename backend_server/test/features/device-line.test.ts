import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LabEvent, Lease } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { rowsOf } from '../../src/db/query.ts'
import { type Lab, startLab, until } from '../start-lab.ts'
import { addPerson, heldBy, leaseIdOf } from './person.ts'

const withLogin = { AUTH_MODE: 'required', API_KEY: 'shared-key-of-this-lab' }

const eventsOf = (lab: Lab, type: string) =>
  rowsOf(lab.db, sql<{ data: LabEvent['data'] }>`select data from events where type = ${type} order by seq`)

const silence = (lab: Lab, leaseId: string) =>
  sql`update leases set expires_at = now() - interval '1 second' where id = ${leaseId}`.execute(lab.db.kysely)

test('two people on two devices of one host at once; the second one on a device learns who has it and since when', async (t) => {
  const lab = await startLab(t, { env: withLogin, host: { devices: 2, apiKey: withLogin.API_KEY } })
  const [ann, bob, eve] = [await addPerson(lab, 'Ann'), await addPerson(lab, 'Bob'), await addPerson(lab, 'Eve', 'viewer')]
  const taken = await Promise.all([ann.take('device1', { purpose: 'menu test' }), bob.take('device2')])
  assert.deepEqual(
    taken.map((answer) => answer.status),
    [200, 200],
  )
  const refused = await bob.take('device1')
  assert.equal(refused.status, 423)
  assert.deepEqual([refused.body.code, refused.body.locked_by, refused.body.locked_by_name], ['device_locked', 'Ann', 'Ann'])
  assert.match(String(refused.body.error), /locked by Ann since 20\d\d-/)
  assert.ok(Math.abs((refused.body.locked_at ?? 0) * 1000 - Date.now()) < 30_000)
  assert.ok(Date.parse(refused.body.locked_until ?? '') > Date.now())

  const seen = await eve.holder('device1')
  assert.deepEqual(
    [seen.status, seen.holder?.kind, seen.holder?.name, seen.holder?.is_you, seen.holder?.address, seen.holder?.purpose],
    ['leased', 'user', 'Ann', false, null, 'menu test'],
  )
  assert.ok(Date.parse(seen.holder?.until ?? '') > Date.parse(seen.holder?.since ?? ''))
  assert.deepEqual(
    [(await ann.holder('device1')).holder?.is_you, (await ann.holder('device1')).holder?.address],
    [true, '127.0.0.1'],
  )
  // The host as a whole is locked by whoever has one of its devices the longest, and each device says its own, everywhere the same.
  const [longest] = await rowsOf(
    lab.db,
    sql<{ name: string }>`select holder_name as name from leases order by granted_at limit 1`,
  )
  const first = longest?.name
  const get = async <Body>(path: string) => (await lab.get<Body>(path, { token: eve.token })).body
  interface Locks {
    isLocked: boolean
    lockedBy: string
    devices: { isLocked: boolean; lockedBy: string }[]
  }
  for (const query of ['', '?include_system_stats=true', '?include_actions=true']) {
    const { hosts } = await get<{ hosts: Locks[] }>(`/server/system/getAllHosts${query}`)
    assert.deepEqual([hosts[0]?.isLocked, hosts[0]?.lockedBy], [true, first])
    assert.deepEqual(
      hosts[0]?.devices.map((device) => [device.isLocked, device.lockedBy]),
      [
        [true, 'Ann'],
        [true, 'Bob'],
      ],
    )
  }
  const locked = (await get<{ locked_devices: Record<string, { lockedBy: string }> }>('/server/control/lockedDevices'))
    .locked_devices
  assert.deepEqual(Object.fromEntries(Object.entries(locked).map(([key, lock]) => [key, lock.lockedBy])), {
    'lab-1': first,
    'lab-1:device1': 'Ann',
    'lab-1:device2': 'Bob',
  })
  const check = await lab.post<{ lock_info: { lockedBy: string } }>('/server/control/checkLock', { host_name: 'lab-1' }, eve)
  assert.equal(check.body.lock_info.lockedBy, first)
  const everything = await Promise.all(
    ['/server/leases?status=all', '/server/devices/holders', '/server/control/lockedDevices', '/server/system/getAllHosts'].map(
      async (path) => (await lab.get(path, { token: eve.token })).text,
    ),
  )
  const ids = await rowsOf(lab.db, sql<{ id: string }>`select id from api_tokens`)
  for (const { id } of ids) assert.ok(!everything.join('').includes(id), 'a viewer sees the id of a token')
  for (const text of everything) assert.match(text, /Ann/)
})

test('S: one line for people and runs, by priority, then by age; whoever is first has the device as soon as it is free', async (t) => {
  const lab = await startLab(t, { env: withLogin, host: { apiKey: withLogin.API_KEY, runMs: () => 300 } })
  const people = [
    await addPerson(lab, 'Ann'),
    await addPerson(lab, 'Bob'),
    await addPerson(lab, 'Cem'),
    await addPerson(lab, 'Dora'),
  ]
  const [ann, bob, cem, dora] = people as [(typeof people)[0], (typeof people)[0], (typeof people)[0], (typeof people)[0]]
  await ann.take()
  const place = await bob.take('device1', { wait: true })
  assert.deepEqual([place.status, place.body.waiting, place.body.position], [202, true, 1], place.text)
  const run = await lab.post<{ run_id: string }>(
    '/server/script/execute',
    { host_name: 'lab-1', device_id: 'device1', script_name: 'zapping.ts', queue: true },
    { token: cem.token },
  )
  assert.equal(run.status, 202, run.text)
  assert.equal((await dora.take('device1', { wait: true })).body.position, 3)
  const urgent = await cem.take('device1', { wait: true, priority: 90 })
  assert.equal(urgent.body.position, 1)
  assert.deepEqual(
    (await ann.holder()).waiting.map(({ position, kind, name }) => [position, kind, name]),
    [
      [1, 'user', 'Cem'],
      [2, 'user', 'Bob'],
      [3, 'run', 'zapping.ts'],
      [4, 'user', 'Dora'],
    ],
  )
  const shown = await lab.get<{ run: { queue_position: number } }>(`/server/runs/${run.body.run_id}`, { token: ann.token })
  assert.equal(shown.body.run.queue_position, 3, 'a run counts the people before it')
  assert.equal((await bob.take('device1', { wait: true })).body.lease?.id, place.body.lease?.id, 'one place per person')

  await ann.release()
  assert.equal((await ann.holder()).holder?.name, 'Cem', 'granted in the transaction that freed the device')
  const mine = await cem.beat(leaseIdOf(urgent))
  assert.deepEqual([mine.body.lease.status, mine.body.lease.token, mine.body.lease.position], ['held', 2, null])
  await cem.leave(leaseIdOf(urgent))
  assert.equal((await ann.holder()).holder?.name, 'Bob')
  const passing = await ann.take()
  assert.equal(passing.status, 423)
  await bob.leave(leaseIdOf(place))
  await heldBy(dora, 'Dora')
  const runs = await lab.get<{ run: { status: string } }>(`/server/runs/${run.body.run_id}`, { token: ann.token })
  assert.equal(runs.body.run.status, 'passed', 'the run before Dora has run')
  const granted = (await eventsOf(lab, 'lease.granted')).map(({ data }) => [data.holder_name, data.waited ?? false])
  assert.deepEqual(granted, [
    ['Ann', false],
    ['Cem', true],
    ['Bob', true],
    ['zapping.ts', false],
    ['Dora', true],
  ])
})

test('a free device is not taken past those who wait, and who waits silently is passed over and loses the place', async (t) => {
  const lab = await startLab(t, { env: withLogin, host: { apiKey: withLogin.API_KEY }, timings: { sweepMs: 100 } })
  const [ann, bob, cem] = [await addPerson(lab, 'Ann'), await addPerson(lab, 'Bob'), await addPerson(lab, 'Cem')]
  await ann.take()
  const gone = await bob.take('device1', { wait: true })
  const there = await cem.take('device1', { wait: true })
  await silence(lab, leaseIdOf(gone))
  await ann.release()
  assert.equal((await ann.holder()).holder?.name, 'Cem', 'the client of Bob is gone')
  await until('the place of Bob is over', async () => (await eventsOf(lab, 'lease.wait_ended')).length === 1)
  const last = await bob.beat(leaseIdOf(gone))
  assert.deepEqual([last.body.code, last.body.lease ?? null], ['stale_token', null])
  assert.match(String(last.body.error), /no sign of life/)
  const left = await ann.take('device1', { wait: true })
  assert.equal((await ann.leave(leaseIdOf(left))).body.lease.status, 'released')
  await cem.leave(leaseIdOf(there))
  assert.equal((await ann.holder()).holder, null)
  assert.equal((await ann.take('device1', { wait: true })).status, 200, 'who waits for a free device has it')
  assert.equal(
    (await lab.post('/server/control/takeControl', { host_name: 'lab-1', wait: true }, { token: bob.token })).status,
    400,
  )
})

test('extension: while nobody waits, within the limits of the team, and it outlives silence', async (t) => {
  const lab = await startLab(t, { env: withLogin, host: { apiKey: withLogin.API_KEY }, timings: { sweepMs: 100 } })
  const [ann, bob, admin] = [await addPerson(lab, 'Ann'), await addPerson(lab, 'Bob'), await addPerson(lab, 'Root', 'admin')]
  const lease = leaseIdOf(await ann.take())
  await ann.beat(lease)
  const longer = await ann.extend(lease, 1800)
  assert.equal(longer.status, 200, longer.text)
  const inSeconds = (one: Lease): number => (Date.parse(one.expires_at ?? '') - Date.now()) / 1000
  assert.ok(Math.abs(inSeconds(longer.body.lease) - 1800) < 20)
  assert.ok(Math.abs(inSeconds((await ann.beat(lease)).body.lease) - 1800) < 20, 'a heartbeat shortens no extension')
  assert.deepEqual(
    [(await bob.extend(lease, 60)).status, (await bob.beat(lease)).status, (await bob.leave(lease)).status],
    [403, 403, 403],
  )
  assert.equal((await ann.extend(lease, 7200)).body.code, 'lease_limit')
  const limits = { ask_seconds: 60, max_extend_seconds: 86_400, max_hold_seconds: 3600 }
  const put = (token: string) => lab.call('PUT', '/server/lease-settings', { token, body: limits })
  assert.deepEqual([(await put(ann.token)).status, (await put(admin.token)).status], [403, 200])
  assert.equal((await ann.extend(lease, 4000)).body.code, 'lease_limit')
  assert.equal((await ann.extend(lease, 3000)).status, 200)
  const place = leaseIdOf(await bob.take('device1', { wait: true }))
  const refused = await ann.extend(lease, 60)
  assert.deepEqual([refused.status, refused.body.code], [409, 'others_wait'])
  assert.equal((await bob.extend(place, 60)).body.code, 'illegal_move')
  assert.equal((await ann.extend('00000000-0000-4000-8000-00000000000a', 60)).body.code, 'lease_not_found')
})
