import { randomUUID } from 'node:crypto'
import { LabError, leaseSeconds } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'
import { emitLease, type Holder, type LeaseRow, leaseColumns, leaseTables } from './lease.row.ts'

/*
 * A lease is the right of one holder to use one device until it expires. States: shared/src/leases/lease.states.ts.
 * Promises kept here:
 * - one statement decides who gets a device; the partial unique index on leases is the second lock on that door;
 * - nobody passes those who wait: a free device goes to the first of its line;
 * - the token is the device's fence, which only grows, so a holder that slept is recognized wherever it writes;
 * - a lease and the status of its device change in one transaction, together with their event.
 */

export interface ClaimInput {
  teamId: string
  deviceId: string
  holder: Holder
  purpose?: string | null | undefined
  seconds?: number
  /** Place in the line of who claims; those before it go first. Without a time: as of now, with the usual priority. */
  rank?: { priority: number; since?: string } | undefined
  /** Runs do not get a device that is known not to work. */
  notBad?: boolean
}

export const usualPriority = 50

/**
 * Grants the device if nobody holds it and nobody waits before the holder; undefined otherwise, and when it is offline or in
 * maintenance. The row lock on devices decides: "look, then write" would let two callers both win.
 */
export async function claimDevice(tx: Transaction, input: ClaimInput): Promise<LeaseRow | undefined> {
  const { holder, rank } = input
  const seconds = input.seconds ?? (holder.kind === 'run' ? leaseSeconds.run : leaseSeconds.user)
  const priority = rank?.priority ?? usualPriority
  const lease = await firstRow(
    tx,
    sql<LeaseRow>`
      with won as (
        update devices
           set status = 'leased', fence = fence + 1, updated_at = now()
         where id = ${input.deviceId} and team_id = ${input.teamId} and status = 'available' and (health <> 'bad' or not ${input.notBad ?? false}::boolean)
           and not exists (
             select 1 from device_line w
              where w.device_id = ${input.deviceId} and w.id::text <> ${holder.id}
                and (w.priority > ${priority}
                     or w.priority = ${priority} and (w.since, w.id::text) < (coalesce(${rank?.since ?? null}::timestamptz, now()), ${holder.id})))
        returning id, team_id, host_id, device_key, fence
      ), l as (
        insert into leases (id, team_id, device_id, holder_kind, holder_id, holder_name, holder_ip, purpose, priority, token, status,
                            granted_at, last_activity_at, expires_at)
        select ${randomUUID()}::uuid, team_id, id, ${holder.kind}, ${holder.id}, ${holder.name}::text, ${holder.ip}::text,
               ${input.purpose ?? null}::text, ${priority}::integer, fence, 'held', now(), now(), now() + make_interval(secs => ${seconds})
          from won
        returning *
      )
      select ${leaseColumns} from l join won d on d.id = l.device_id join hosts h on h.id = d.host_id`,
  )
  if (lease) emitLease(tx, 'lease.granted', lease, { until: lease.expires_at })
  return lease
}

/** The held lease of a device, locked against change until the transaction ends. */
export function lockHeldLease(tx: Transaction, deviceId: string): Promise<LeaseRow | undefined> {
  return firstRow(
    tx,
    sql<LeaseRow>`
      select ${leaseColumns} from leases ${leaseTables}
       where l.device_id = ${deviceId} and l.status = 'held'
         for no key update of l`,
  )
}

/** A lease of a team, in any state, locked against change until the transaction ends. */
export async function lockLease(tx: Transaction, input: { id: string; teamId: string }): Promise<LeaseRow> {
  const lease = await firstRow(
    tx,
    sql<LeaseRow>`
      select ${leaseColumns} from leases ${leaseTables}
       where l.id = ${input.id} and l.team_id = ${input.teamId}
         for no key update of l`,
  )
  if (!lease) throw new LabError('lease_not_found')
  return lease
}

/** Refuses a caller whose lease has ended, whoever holds the device now. The lease stays locked until the transaction ends. */
export async function assertHeldToken(tx: Transaction, deviceId: string, token: number): Promise<void> {
  const held = await lockHeldLease(tx, deviceId)
  if (held?.token !== token) throw new LabError('stale_token')
}

/** Held leases of a team, optionally of one host or device, the longest held first. */
export function listHeldLeases(
  db: Queryable,
  filter: { teamId: string; hostName?: string | undefined; deviceKey?: string | null | undefined },
): Promise<LeaseRow[]> {
  return rowsOf(
    db,
    sql<LeaseRow>`
      select ${leaseColumns} from leases ${leaseTables}
       where l.status = 'held' and l.team_id = ${filter.teamId}
         and (${filter.hostName ?? null}::text is null or h.name = ${filter.hostName ?? null})
         and (${filter.deviceKey ?? null}::text is null or d.device_key = ${filter.deviceKey ?? null})
       order by l.granted_at, h.name, d.position`,
  )
}

/** Time a person's lease has from now on; a client that sends heartbeats is missed sooner. For a statement over leases. */
export const personSeconds = sql`make_interval(secs => case when beats then ${leaseSeconds.heartbeat}::float8 else ${leaseSeconds.user}::float8 end)`

/** Moves the end of a person's lease: every call on the device counts as a sign of life. */
export async function renewLease(tx: Queryable, leaseId: string, seconds?: number): Promise<LeaseRow | undefined> {
  const life = seconds === undefined ? personSeconds : sql`make_interval(secs => ${seconds})`
  return firstRow(
    tx,
    sql<LeaseRow>`
      with l as (
        update leases
           set last_activity_at = now(), expires_at = greatest(expires_at, now() + ${life})
         where id = ${leaseId} and status = 'held'
        returning *
      )
      select ${leaseColumns} from ${leaseTables}`,
  )
}

/**
 * Where login is off, whoever comes from the address of the holder may go on with the lease. The lease then names the one
 * who goes on: the web app recognizes its own locks by that name. A call that names nobody changes nothing.
 */
export async function renameHolder(tx: Transaction, lease: LeaseRow, holder: Holder): Promise<LeaseRow> {
  if (holder.id === lease.holder_id || holder.id === holder.ip) return lease
  const renamed = await firstRow(
    tx,
    sql<LeaseRow>`
      with l as (
        update leases set holder_id = ${holder.id}, holder_name = ${holder.name} where id = ${lease.id} and status = 'held' returning *
      )
      select ${leaseColumns} from ${leaseTables}`,
  )
  if (!renamed) return lease
  emitLease(tx, 'lease.granted', renamed, { until: renamed.expires_at, handed_over: true })
  return renamed
}
