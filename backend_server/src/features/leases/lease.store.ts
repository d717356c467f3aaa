import { randomUUID } from 'node:crypto'
import { type HolderKind, LabError, leaseSeconds, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'

/*
 * A lease is the right of one holder to use one device until it expires. States: shared/src/leases/lease.states.ts.
 * Promises kept here:
 * - one statement decides who gets a device; the partial unique index on leases is the second lock on that door;
 * - the token is the device's fence, which only grows, so a holder that slept is recognized wherever it writes;
 * - a lease and the status of its device change in one transaction, together with their event.
 */

export interface LeaseRow {
  id: string
  team_id: string
  device_id: string
  device_key: string
  host_name: string
  holder_kind: HolderKind
  holder_id: string
  holder_ip: string | null
  purpose: string | null
  token: number
  granted_at: string
  last_activity_at: string
  expires_at: string
}

export interface Holder {
  kind: HolderKind
  /** user or session id, or the id of the run */
  id: string
  ip: string | null
}

const leaseColumns = sql`
  l.id, l.team_id, l.device_id, d.device_key, h.name as host_name, l.holder_kind, l.holder_id, l.holder_ip, l.purpose,
  l.token, l.granted_at, l.last_activity_at, l.expires_at`

export interface ClaimInput {
  teamId: string
  deviceId: string
  holder: Holder
  purpose?: string | null | undefined
  seconds?: number
}

/**
 * Grants the device if nobody holds it; undefined when somebody does, or when it is offline or in maintenance.
 * The row lock on devices decides: "look, then write" would let two callers both win.
 */
export async function claimDevice(tx: Transaction, input: ClaimInput): Promise<LeaseRow | undefined> {
  const seconds = input.seconds ?? (input.holder.kind === 'run' ? leaseSeconds.run : leaseSeconds.user)
  const lease = await firstRow(
    tx,
    sql<LeaseRow>`
      with won as (
        update devices
           set status = 'leased', fence = fence + 1, updated_at = now()
         where id = ${input.deviceId} and team_id = ${input.teamId} and status = 'available'
        returning id, team_id, host_id, device_key, fence
      ), l as (
        insert into leases (id, team_id, device_id, holder_kind, holder_id, holder_ip, purpose, token, status,
                            granted_at, last_activity_at, expires_at)
        select ${randomUUID()}::uuid, team_id, id, ${input.holder.kind}, ${input.holder.id}, ${input.holder.ip}::text,
               ${input.purpose ?? null}::text, fence, 'held', now(), now(), now() + make_interval(secs => ${seconds})
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
      select ${leaseColumns}
        from leases l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id
       where l.device_id = ${deviceId} and l.status = 'held'
         for no key update of l`,
  )
}

/** Refuses a caller whose lease has ended, whoever holds the device now. The lease stays locked until the transaction ends. */
export async function assertHeldToken(tx: Transaction, deviceId: string, token: number): Promise<void> {
  const held = await lockHeldLease(tx, deviceId)
  if (held?.token !== token) throw new LabError('stale_token')
}

/** Held leases of a team, optionally of one host or device. */
export function listHeldLeases(
  db: Queryable,
  filter: { teamId: string; hostName?: string | undefined; deviceKey?: string | null | undefined },
): Promise<LeaseRow[]> {
  return rowsOf(
    db,
    sql<LeaseRow>`
      select ${leaseColumns}
        from leases l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id
       where l.status = 'held' and l.team_id = ${filter.teamId}
         and (${filter.hostName ?? null}::text is null or h.name = ${filter.hostName ?? null})
         and (${filter.deviceKey ?? null}::text is null or d.device_key = ${filter.deviceKey ?? null})
       order by h.name, d.position`,
  )
}

/** Moves the end of a person's lease: every call on the device counts as a sign of life. */
export async function renewLease(
  tx: Queryable,
  leaseId: string,
  seconds: number = leaseSeconds.user,
): Promise<LeaseRow | undefined> {
  return firstRow(
    tx,
    sql<LeaseRow>`
      with l as (
        update leases
           set last_activity_at = now(), expires_at = greatest(expires_at, now() + make_interval(secs => ${seconds}))
         where id = ${leaseId} and status = 'held'
        returning *
      )
      select ${leaseColumns} from l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id`,
  )
}

export type LeaseEnd = { status: 'released' | 'expired' | 'revoked'; reason: string; by?: string | null | undefined }

/**
 * Ends held leases and frees their devices (a device whose host is offline stays offline). Returns those it ended.
 * The row of the device is locked even when its status stays: its host may come back at this moment and ask who holds it.
 */
export async function endLeases(tx: Transaction, leaseIds: readonly string[], end: LeaseEnd): Promise<LeaseRow[]> {
  if (leaseIds.length === 0) return []
  const ended = await rowsOf(
    tx,
    sql<LeaseRow>`
      with l as (
        update leases
           set status = ${end.status}, ended_at = now(), end_reason = ${end.reason}, ended_by = ${end.by ?? null}
         where id = any(${leaseIds}::uuid[]) and status = 'held'
        returning *
      ), freed as (
        update devices set status = case when status = 'leased' then 'available' else status end, updated_at = now()
         where id in (select device_id from l)
      )
      select ${leaseColumns} from l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id`,
  )
  for (const lease of ended) emitLease(tx, `lease.${end.status}`, lease, { reason: end.reason, by: end.by ?? null })
  return ended
}

/**
 * Gives leases back. One that an open run borrowed goes on as the lease of that run: the device is not free while a script
 * of its former holder works on it. Returns those that ended.
 */
export async function releaseLeases(
  tx: Transaction,
  leaseIds: readonly string[],
  end: { reason: string; by?: string | null },
): Promise<LeaseRow[]> {
  if (leaseIds.length === 0) return []
  // Locked by a statement of its own: a run that borrows a lease locks it too, so the next statement sees every borrower.
  await sql`
    select 1 from leases where id = any(${leaseIds}::uuid[]) and status = 'held' order by id for no key update`.execute(tx.kysely)
  const kept = await rowsOf(
    tx,
    sql<LeaseRow>`
      with l as (
        update leases
           set holder_kind = 'run', holder_id = r.id::text, purpose = r.name
          from runs r
         where leases.id = any(${leaseIds}::uuid[]) and leases.status = 'held'
           and r.lease_id = leases.id and r.status in ('assigned', 'running')
        returning leases.*
      )
      select ${leaseColumns} from l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id`,
  )
  for (const lease of kept) emitLease(tx, 'lease.granted', lease, { until: lease.expires_at, handed_over: true })
  const rest = leaseIds.filter((id) => !kept.some((lease) => lease.id === id))
  return endLeases(tx, rest, { status: 'released', ...end })
}

function emitLease(
  tx: Transaction,
  type: 'lease.granted' | 'lease.released' | 'lease.expired' | 'lease.revoked',
  lease: LeaseRow,
  data: Record<string, unknown>,
): void {
  tx.emit({
    teamId: lease.team_id,
    type,
    subjectKind: 'lease',
    subjectId: lease.id,
    rooms: [
      rooms.team(lease.team_id),
      rooms.host(lease.host_name),
      rooms.device(lease.host_name, lease.device_key),
      ...(lease.holder_kind === 'run' ? [rooms.run(lease.holder_id)] : []),
    ],
    data: {
      host_name: lease.host_name,
      device_id: lease.device_key,
      holder_kind: lease.holder_kind,
      holder: lease.holder_id,
      token: lease.token,
      ...data,
    },
  })
}

/** Is the caller the one who holds this lease? By id, or, only where login is off, by address. */
export const ownsLease = (lease: LeaseRow, holder: Holder, byAddress: boolean): boolean =>
  lease.holder_kind === 'user' &&
  (lease.holder_id === holder.id || (byAddress && lease.holder_ip !== null && lease.holder_ip === holder.ip))
