import { randomUUID } from 'node:crypto'
import { LabError, leaseSeconds } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable } from '../../db/query.ts'
import { voidAsks } from './ask.store.ts'
import { closeLeases, emitLease, type Holder, type LeaseEnd, type LeaseRow, leaseColumns, leaseTables } from './lease.row.ts'

/*
 * The line of a device: waiting leases of people and queued runs in one order, by priority, then by age (view device_line).
 * A place needs heartbeats: who is silent is passed over, and loses the place once the job sees it.
 */

/** People that may wait for one device; the line of runs has a limit of its own. */
const longestLine = 100

/** A place in the line; the place that is there already when the same person asks again, which counts as a heartbeat. */
export async function joinLine(
  tx: Transaction,
  input: { teamId: string; deviceId: string; holder: Holder; purpose?: string | null | undefined; priority: number },
): Promise<LeaseRow> {
  const { holder } = input
  // The device is locked before the line: a lease that ends now looks at the line after us, or we see the device free.
  await sql`select 1 from devices where id = ${input.deviceId} for no key update`.execute(tx.kysely)
  const lease = await firstRow(
    tx,
    sql<LeaseRow & { is_new: boolean; line: number }>`
      with l as (
        insert into leases (id, team_id, device_id, holder_kind, holder_id, holder_name, holder_ip, purpose, priority, status, beats,
                            expires_at)
        values (${randomUUID()}, ${input.teamId}, ${input.deviceId}, 'user', ${holder.id}, ${holder.name}, ${holder.ip},
                ${input.purpose ?? null}, ${input.priority}, 'waiting', true, now() + make_interval(secs => ${leaseSeconds.heartbeat}))
        on conflict (device_id, holder_kind, holder_id) where status = 'waiting' do update
           set expires_at = greatest(leases.expires_at, excluded.expires_at), purpose = coalesce(excluded.purpose, leases.purpose)
        returning *, xmax = 0 as is_new
      )
      select ${leaseColumns}, l.is_new,
             (select count(*)::int from leases w where w.device_id = ${input.deviceId} and w.status = 'waiting') as line
        from ${leaseTables}`,
  )
  if (!lease) throw new LabError('conflict')
  if (lease.is_new && lease.line >= longestLine)
    throw new LabError('queue_full', { text: 'Too many people wait for this device.' })
  if (lease.is_new) emitLease(tx, 'lease.waiting', lease, { priority: lease.priority })
  return lease
}

/** Ends places in the line. */
export async function endWaiting(
  tx: Transaction,
  leaseIds: readonly string[],
  end: LeaseEnd<'released' | 'expired'>,
): Promise<LeaseRow[]> {
  const ended = await closeLeases(tx, leaseIds, 'waiting', end)
  for (const lease of ended) emitLease(tx, 'lease.wait_ended', lease, { status: end.status, reason: end.reason })
  if (ended.length > 0) await voidAsks(tx, { ofWaiting: ended.map((lease) => lease.id) })
  return ended
}

/**
 * Gives a free device to the person who is first in its line; undefined when nobody waits or a run is first. The caller's
 * transaction has the row of the device locked, or has freed it itself, so one of all who try does it. The place is locked
 * by a statement of its own: its person may leave, or send a heartbeat, at this moment.
 */
export async function grantNext(tx: Transaction, deviceId: string): Promise<LeaseRow | undefined> {
  const next = await firstRow(
    tx,
    sql<{ id: string }>`
      select l.id from leases l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id
       where l.device_id = ${deviceId} and l.status = 'waiting' and l.expires_at > now()
         and d.status = 'available' and h.status = 'online'
         and not exists (
           select 1 from device_line w
            where w.device_id = l.device_id and w.kind = 'run'
              and (w.priority > l.priority or w.priority = l.priority and (w.since, w.id) < (l.requested_at, l.id)))
       order by l.priority desc, l.requested_at, l.id
       limit 1
         for no key update of l`,
  )
  if (!next) return undefined
  const lease = await firstRow(
    tx,
    sql<LeaseRow>`
      with won as (
        update devices set status = 'leased', fence = fence + 1, updated_at = now()
         where id = ${deviceId} and status = 'available'
        returning id, fence
      ), l as (
        update leases
           set status = 'held', token = won.fence, granted_at = now(), last_activity_at = now(),
               expires_at = now() + make_interval(secs => ${leaseSeconds.heartbeat})
          from won where leases.id = ${next.id} and leases.status = 'waiting'
        returning leases.*
      )
      select ${leaseColumns} from ${leaseTables}`,
  )
  if (!lease) return undefined
  await voidAsks(tx, { ofWaiting: [lease.id] })
  emitLease(tx, 'lease.granted', lease, { until: lease.expires_at, waited: true })
  return lease
}

/** Does anybody wait for this device, a person or a run? */
export async function someoneWaits(db: Queryable, deviceId: string): Promise<boolean> {
  return (await firstRow(db, sql`select 1 from device_line where device_id = ${deviceId} limit 1`)) !== undefined
}

/** 1 for the first of the line; undefined for who does not wait, or has been silent for too long. */
export async function placeInLine(db: Queryable, deviceId: string, id: string): Promise<number | undefined> {
  const row = await firstRow(
    db,
    sql<{ position: number }>`
      select position from (
        select id, row_number() over (order by priority desc, since, id)::int as position
          from device_line where device_id = ${deviceId}) line
       where id = ${id}`,
  )
  return row?.position
}
