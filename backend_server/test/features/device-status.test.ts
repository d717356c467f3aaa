import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type DeviceStatusChange, deviceMoves } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { inTransaction } from '../../src/db/database.ts'
import { rowsOf } from '../../src/db/query.ts'
import { claimDevice } from '../../src/features/leases/index.ts'
import { startLab, until } from '../start-lab.ts'
import { addPerson, leaseIdOf } from './person.ts'

const apiKey = 'shared-key-of-this-lab'

async function statusLab(t: TestContext) {
  const lab = await startLab(t, {
    env: { AUTH_MODE: 'required', API_KEY: apiKey },
    // Without beats of its own: one after an unregistration would bring the host back in the middle of a test.
    host: { apiKey, devices: 2, runMs: () => 600_000, beatMs: 600_000 },
    timings: { sweepMs: 100 },
  })
  const [root, ann, bob] = [await addPerson(lab, 'Root', 'admin'), await addPerson(lab, 'Ann'), await addPerson(lab, 'Bob')]
  const set = (token: string, status: string, more: object = {}) =>
    lab.call('PUT', '/server/devices/lab-1/device1/status', { token, body: { status, reason: 'new cable', ...more } })
  const page = async (query = '') =>
    (
      await lab.get<{ history: DeviceStatusChange[]; next_before: number | null }>(
        `/server/devices/lab-1/device1/history${query}`,
        { token: ann.token },
      )
    ).body
  return { lab, root, ann, bob, set, page }
}

const short = (history: readonly DeviceStatusChange[]) =>
  history.map(({ from_status, to_status, reason, actor }) => [from_status, to_status, reason, actor])

test('each change of a device is in its history with reason and actor, whichever statement made it, and every move is legal', async (t) => {
  const { lab, root, ann, bob, set, page } = await statusLab(t)
  await ann.take()
  const place = leaseIdOf(await bob.take('device1', { wait: true }))
  await ann.release()
  await bob.leave(place)
  await set(root.token, 'maintenance')
  await set(root.token, 'available', { reason: 'cable works' })
  await lab.hosts[0]?.stopBeating()
  await lab.post('/server/system/unregister', { host_name: 'lab-1' }, { headers: { 'x-api-key': apiKey } })
  const all = (await page()).history
  assert.deepEqual(short(all).reverse(), [
    [null, 'offline', 'registered', 'lab-1'],
    ['offline', 'available', 'the host is online', 'lab-1'],
    ['available', 'leased', 'leased', 'Ann'],
    ['leased', 'available', 'lease released: given back', 'Ann'],
    ['available', 'leased', 'leased', 'Bob'],
    ['leased', 'available', 'lease released: given back', 'Bob'],
    ['available', 'maintenance', 'new cable', 'Root'],
    ['maintenance', 'available', 'cable works', 'Root'],
    ['available', 'offline', 'host offline: unregistered', 'lab-1'],
  ])
  const seen: DeviceStatusChange[] = []
  for (let before = ''; ; ) {
    const { history, next_before } = await page(`?limit=4${before}`)
    seen.push(...history)
    if (next_before === null) break
    before = `&before=${next_before}`
  }
  assert.deepEqual(seen, all, 'pages are the whole')

  // What no route can do, a statement by hand does: it is written down all the same, and nothing written is changed.
  await sql`update devices set status = 'available' where device_key = 'device1'`.execute(lab.db.kysely)
  assert.equal((await page('?limit=1')).history[0]?.to_status, 'available')
  await assert.rejects(sql`update device_status_history set reason = 'nothing happened'`.execute(lab.db.kysely), /append-only/)
  const moves = await rowsOf(
    lab.db,
    sql<{ from_status: keyof typeof deviceMoves; to_status: string }>`
      select distinct from_status, to_status from device_status_history where from_status is not null`,
  )
  for (const { from_status, to_status } of moves)
    assert.ok((deviceMoves[from_status] as readonly string[]).includes(to_status), `${from_status} -> ${to_status}`)
})

test('maintenance: for administrators, with a reason; nobody gets the device, hosts do not end it, and the line goes on after it', async (t) => {
  const { lab, root, ann, bob, set } = await statusLab(t)
  assert.deepEqual(
    [(await set(ann.token, 'maintenance')).status, (await set(root.token, 'maintenance', { reason: ' ' })).status],
    [403, 400],
  )
  const lease = leaseIdOf(await ann.take())
  await lab.post(
    '/server/script/execute',
    { host_name: 'lab-1', device_id: 'device1', script_name: 'zapping.ts' },
    { token: ann.token },
  )
  const place = leaseIdOf(await bob.take('device1', { wait: true }))
  const polite = await set(root.token, 'maintenance')
  assert.deepEqual([polite.status, polite.body.code], [423, 'device_locked'])
  assert.match(String(polite.body.error), /Ann has this device/)
  assert.equal((await set(root.token, 'maintenance', { force: true })).status, 200)
  assert.match(String((await ann.beat(lease)).body.error), /revoked by Root: new cable/)
  const seen = await bob.holder()
  assert.deepEqual(
    [seen.status, seen.status_reason, seen.status_actor, seen.holder, seen.waiting.length],
    ['maintenance', 'new cable', 'Root', null, 1],
  )
  const runs = await rowsOf(lab.db, sql<{ status: string }>`select status from runs`)
  assert.deepEqual(runs, [{ status: 'cancelled' }])
  const refused = await ann.take()
  assert.deepEqual([refused.status, refused.body.code], [423, 'device_in_maintenance'])
  const all = await lab.post<{ leases: { device_id: string }[] }>(
    '/server/control/takeControl',
    { host_name: 'lab-1' },
    { token: ann.token },
  )
  assert.deepEqual(
    all.body.leases.map((one) => one.device_id),
    ['device2'],
    'all devices of a host are those in use',
  )
  await lab.post('/server/system/unregister', { host_name: 'lab-1' }, { headers: { 'x-api-key': apiKey } })
  await lab.hosts[0]?.register()
  assert.equal((await bob.holder()).status, 'maintenance', 'a host that comes back does not end it')
  assert.equal((await set(root.token, 'available')).status, 200)
  assert.equal((await bob.beat(place)).body.lease.status, 'held', 'Bob waited for the end of it')
  const audit = await rowsOf(
    lab.db,
    sql<{
      reason: string
      details: object
    }>`select reason, details from audit_log where action = 'device.set_status' order by id`,
  )
  assert.deepEqual(audit[0], { reason: 'new cable', details: { from: 'leased', to: 'maintenance', taken_from: 'Ann' } })
})

test('retired is for good: no lease, no listing, no line, and a registration does not bring the device back', async (t) => {
  const { lab, root, ann, bob, set } = await statusLab(t)
  await ann.take()
  const place = leaseIdOf(await bob.take('device1', { wait: true }))
  assert.equal((await set(root.token, 'retired', { force: true })).status, 200)
  assert.equal((await bob.beat(place)).body.code, 'stale_token')
  assert.equal((await ann.take()).status, 404)
  for (const status of ['available', 'maintenance']) {
    const refused = await set(root.token, status)
    assert.deepEqual([refused.status, refused.body.code], [409, 'illegal_move'])
  }
  const listed = async () =>
    (
      await lab.get<{ hosts: { devices: { device_id: string }[] }[] }>('/server/system/getAllHosts', { token: ann.token })
    ).body.hosts[0]?.devices.map((device) => device.device_id)
  await lab.hosts[0]?.register()
  assert.deepEqual(await listed(), ['device2'])
})

test('N1: a device that somebody takes at the moment of its maintenance keeps its holder', async (t) => {
  const { lab, root, set } = await statusLab(t)
  const [device] = await rowsOf(
    lab.db,
    sql<{ id: string; team_id: string }>`
      select d.id, d.team_id from devices d join hosts h on h.id = d.host_id where h.name = 'lab-1' and d.device_key = 'device1'`,
  )
  assert.ok(device)
  for (const force of [false, true]) {
    const { change, taken } = await inTransaction(lab.db, async (tx) => {
      const holder = { kind: 'user', id: 'carla', name: 'Carla', ip: null } as const
      const claimed = await claimDevice(tx, { teamId: device.team_id, deviceId: device.id, holder })
      // Sees no lease, and then waits for the row of the device.
      const asked = set(root.token, 'maintenance', { force })
      await until('the change waits', async () => {
        const waiting = await rowsOf(lab.db, sql`select 1 from pg_locks where not granted limit 1`)
        return waiting.length > 0
      })
      return { change: asked, taken: claimed }
    })
    assert.ok(taken)
    const answer = await change
    assert.deepEqual([answer.status, answer.body.code], [423, 'device_locked'])
    const held: { status: string }[] = await rowsOf(
      lab.db,
      sql<{ status: string }>`
      select d.status from devices d join leases l on l.device_id = d.id where d.id = ${device.id} and l.status = 'held'`,
    )
    assert.deepEqual(held, [{ status: 'leased' }])
    await sql`update leases set status = 'released', ended_at = now(), end_reason = 'test' where id = ${taken.id}`.execute(
      lab.db.kysely,
    )
    await sql`update devices set status = 'available' where id = ${device.id}`.execute(lab.db.kysely)
  }
})
