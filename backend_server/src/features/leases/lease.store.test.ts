import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { pino } from 'pino'
import { until } from '../../../test/start-lab.ts'
import { createTestDatabase } from '../../../test/test-db.ts'
import { type Database, inTransaction, isUniqueViolation } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'
import { takeLeadership } from '../../jobs/leader.ts'
import { markHostsOffline, registerHost, reviveDevices } from '../hosts/index.ts'
import { takeAwayLeases } from '../runs/take-away-leases.ts'
import { endLeases, releaseLeases } from './end-leases.ts'
import { expireLeasesJob } from './expire-leases.job.ts'
import type { LeaseRow } from './lease.row.ts'
import { claimDevice, lockHeldLease, renewLease } from './lease.store.ts'
import { joinLine } from './waiting.store.ts'

interface Fixture {
  db: Database
  hostId: string
  deviceId: string
  claim: (user: string) => Promise<LeaseRow | undefined>
  deviceStatus: () => Promise<string | undefined>
}

async function oneDevice(t: TestContext): Promise<Fixture> {
  const { db } = await createTestDatabase(t)
  const host = await inTransaction(db, (tx) =>
    registerHost(
      tx,
      {
        kind: 'host',
        teamId: defaultTeamId,
        role: 'viewer',
        tokenId: null,
        name: null,
        ip: '127.0.0.1',
        hostName: null,
        hostKeyProven: false,
      },
      { host_name: 'lab-1', host_url: 'http://127.0.0.1:6109', devices: [{ device_id: 'device1' }] },
    ),
  )
  const device = await firstRow(db, sql<{ id: string }>`select id from devices`)
  assert.ok(device)
  return {
    db,
    hostId: host.id,
    deviceId: device.id,
    claim: (user) =>
      inTransaction(db, (tx) =>
        claimDevice(tx, { teamId: defaultTeamId, deviceId: device.id, holder: { kind: 'user', id: user, name: null, ip: null } }),
      ),
    deviceStatus: async () => (await firstRow(db, sql<{ status: string }>`select status from devices`))?.status,
  }
}

const end = (db: Database, lease: LeaseRow, status: 'released' | 'expired' | 'revoked'): Promise<LeaseRow[]> =>
  inTransaction(db, (tx) => endLeases(tx, [lease.id], { status, reason: 'test' }))

async function insertRun(db: Queryable, lease: LeaseRow, hostId: string): Promise<string> {
  const id = crypto.randomUUID()
  await sql`
    insert into runs (id, team_id, kind, name, host_id, device_id, host_name, device_key, status, source, deadline_at, timeout_seconds,
                      lease_id, lease_token)
    values (${id}, ${lease.team_id}, 'script', 'demo', ${hostId}, ${lease.device_id}, 'lab-1', 'device1', 'running', 'manual',
            now() + interval '1 hour', 3600, ${lease.id}, ${lease.token})`.execute(db.kysely)
  return id
}

/** Until a transaction waits for what another one has locked. */
const untilSomeoneWaits = (db: Database): Promise<unknown> =>
  until('a transaction waits for a lock', async () => {
    const waiting = await rowsOf(
      db,
      sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return waiting.length > 0
  })

test('N1: each grant raises the token, whatever ended the lease before', async (t) => {
  const { db, claim } = await oneDevice(t)
  for (const [index, status] of (['released', 'expired', 'revoked', 'released'] as const).entries()) {
    const lease = await claim(`user ${index}`)
    assert.equal(lease?.token, index + 1)
    assert.equal(await claim('somebody else'), undefined)
    assert.equal((await end(db, lease, status)).length, 1)
    assert.deepEqual(await end(db, lease, 'released'), [], 'a lease ends once')
  }
})

test('N1: the database itself refuses a second holder and a token that was used', async (t) => {
  const { db, claim, deviceId } = await oneDevice(t)
  const lease = await claim('ann')
  assert.ok(lease)
  const insert = (token: number, status: string) =>
    sql`insert into leases (id, team_id, device_id, holder_kind, holder_id, token, status, granted_at, expires_at, ended_at)
        values (${crypto.randomUUID()}, ${defaultTeamId}, ${deviceId}, 'user', 'bob', ${token}, ${status}, now(), now(),
                case when ${status} = 'held' then null else now() end)`.execute(db.kysely)
  await assert.rejects(insert(7, 'held'), (error) => isUniqueViolation(error, 'leases_one_holder'))
  await assert.rejects(insert(lease.token, 'released'), (error) => isUniqueViolation(error))
})

test('a lease that ended is not renewed, and a renewal never shortens one', async (t) => {
  const { db, claim } = await oneDevice(t)
  const lease = await claim('ann')
  assert.ok(lease)
  const longer = await renewLease(db, lease.id, 3600)
  const shorter = await renewLease(db, lease.id, 1)
  assert.equal(shorter?.expires_at, longer?.expires_at)
  await end(db, lease, 'expired')
  assert.equal(await renewLease(db, lease.id), undefined)
})

test('N1: a device whose lease ends at the moment its host comes back does not stay leased without a holder', async (t) => {
  const { db, claim, hostId, deviceStatus } = await oneDevice(t)
  for (const first of ['end', 'host'] as const) {
    const lease = await claim('ann')
    assert.ok(lease)
    await inTransaction(db, (tx) => markHostsOffline(tx, [hostId], 'no sign of life'))
    const gate = Promise.withResolvers<void>()
    const hasActed = Promise.withResolvers<void>()
    const held = inTransaction(db, async (tx) => {
      if (first === 'end') await endLeases(tx, [lease.id], { status: 'expired', reason: 'test' })
      else await reviveDevices(tx, [hostId])
      hasActed.resolve()
      await gate.promise
    })
    await hasActed.promise
    const other = inTransaction(db, async (tx) => {
      if (first === 'end') await reviveDevices(tx, [hostId])
      else await endLeases(tx, [lease.id], { status: 'expired', reason: 'test' })
    })
    await untilSomeoneWaits(db)
    gate.resolve()
    await Promise.all([held, other])
    assert.equal(await deviceStatus(), 'available', `${first} first`)
    const next = await claim('bob')
    assert.ok(next, 'the device can be taken')
    await end(db, next, 'released')
    await sql`update hosts set status = 'online'`.execute(db.kysely)
  }
})

test('N1: a lease that is given back while a run borrows it goes on as the lease of that run', async (t) => {
  const { db, claim, hostId, deviceStatus } = await oneDevice(t)
  const lease = await claim('ann')
  assert.ok(lease)
  const runId = await insertRun(db, lease, hostId)
  assert.deepEqual(await inTransaction(db, (tx) => releaseLeases(tx, [lease.id], { reason: 'given back' })), [])
  const held = await firstRow(
    db,
    sql<{
      holder_kind: string
      holder_id: string
      token: number
    }>`select holder_kind, holder_id, token from leases where status = 'held'`,
  )
  assert.deepEqual(held, { holder_kind: 'run', holder_id: runId, token: lease.token })
  assert.equal(await deviceStatus(), 'leased')
  assert.equal(await claim('bob'), undefined)

  await sql`update runs set status = 'passed', finished_at = now()`.execute(db.kysely)
  assert.equal((await inTransaction(db, (tx) => releaseLeases(tx, [lease.id], { reason: 'given back' }))).length, 1)
  assert.equal((await claim('bob'))?.token, lease.token + 1)
})

test('N1: a run that borrows a lease while it is taken away ends before the next in the line begins', async (t) => {
  const { db, claim, hostId, deviceId } = await oneDevice(t)
  const lease = await claim('ann')
  assert.ok(lease)
  const bob = { kind: 'user', id: 'bob', name: null, ip: null } as const
  await inTransaction(db, (tx) => joinLine(tx, { teamId: defaultTeamId, deviceId, holder: bob, priority: 50 }))
  const gate = Promise.withResolvers<void>()
  const hasBorrowed = Promise.withResolvers<void>()
  const borrower = inTransaction(db, async (tx) => {
    await lockHeldLease(tx, deviceId)
    await insertRun(tx, lease, hostId)
    hasBorrowed.resolve()
    await gate.promise
  })
  await hasBorrowed.promise
  const taken = inTransaction(db, (tx) => takeAwayLeases(tx, [lease.id], { reason: 'test', by: null }))
  await untilSomeoneWaits(db)
  gate.resolve()
  await borrower
  assert.equal((await taken).runs.length, 1)
  const events = await rowsOf(db, sql<{ type: string }>`select type from events order by seq desc limit 3`)
  assert.deepEqual(
    events.map(({ type }) => type),
    ['lease.granted', 'run.finished', 'lease.revoked'],
  )
})

test('expiry ends what is over, but not what an open run borrows, and nothing under the term of an earlier leader', async (t) => {
  const { db, claim, hostId, deviceStatus } = await oneDevice(t)
  const lease = await claim('ann')
  assert.ok(lease)
  const term = (await takeLeadership(db, 'test'))?.term ?? 0
  const job = expireLeasesJob({ everyMs: 1, graceSeconds: 0 })
  const run = (asTerm: number): Promise<void> =>
    job.run({ db, log: pino({ level: 'silent' }), signal: new AbortController().signal, readySeconds: 1000, term: asTerm })
  await run(term)
  assert.equal(await deviceStatus(), 'leased', 'the lease is not over')
  await sql`update leases set expires_at = now() - interval '1 second'`.execute(db.kysely)
  await insertRun(db, lease, hostId)
  await run(term)
  assert.equal(await deviceStatus(), 'leased', 'a run is at work')
  await sql`update runs set status = 'passed', finished_at = now()`.execute(db.kysely)
  await run(term - 1)
  await run(term + 1)
  assert.equal(await deviceStatus(), 'leased', 'only the leader of now may end it')
  await run(term)
  assert.equal(await deviceStatus(), 'available')
  const events = await rowsOf(db, sql<{ type: string }>`select type from events where subject_kind = 'lease' order by seq`)
  assert.deepEqual(
    events.map((event) => event.type),
    ['lease.granted', 'lease.expired'],
  )
})
