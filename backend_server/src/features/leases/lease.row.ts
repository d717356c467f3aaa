import { type EventType, type HolderKind, type LeaseStatus, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import { readableHolder, shownHolder } from './holder.ts'

export interface LeaseRow {
  id: string
  team_id: string
  device_id: string
  device_key: string
  host_name: string
  holder_kind: HolderKind
  holder_id: string
  holder_name: string | null
  holder_ip: string | null
  purpose: string | null
  priority: number
  status: LeaseStatus
  token: number
  granted_at: string
  last_activity_at: string
  expires_at: string
  end_reason: string | null
  ended_by: string | null
}

export interface Holder {
  kind: HolderKind
  /** token, user or session id, or the id of the run */
  id: string
  /** what others read in place of the id */
  name: string | null
  ip: string | null
}

/** For a query over `l` (leases), `d` (devices) and `h` (hosts). */
export const leaseColumns = sql`
  l.id, l.team_id, l.device_id, d.device_key, h.name as host_name, l.holder_kind, l.holder_id, l.holder_name, l.holder_ip,
  l.purpose, l.priority, l.status, l.token, l.granted_at, l.last_activity_at, l.expires_at, l.end_reason, l.ended_by`

export const leaseTables = sql`l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id`

export interface LeaseEnd<Status> {
  status: Status
  reason: string
  by?: string | null | undefined
}

/** Ends those of these leases that are in this state: held ones, or places in a line. What follows from it is the caller's affair. */
export async function closeLeases(
  tx: Transaction,
  leaseIds: readonly string[],
  from: 'held' | 'waiting',
  end: LeaseEnd<LeaseStatus>,
): Promise<LeaseRow[]> {
  if (leaseIds.length === 0) return []
  return rowsOf(
    tx,
    sql<LeaseRow>`
      with l as (
        update leases
           set status = ${end.status}, ended_at = now(), end_reason = ${end.reason}, ended_by = ${end.by ?? null}
         where id = any(${leaseIds}::uuid[]) and status = ${from}
        returning *
      )
      select ${leaseColumns} from ${leaseTables}`,
  )
}

export function emitLease(
  tx: Transaction,
  type: EventType & `lease.${string}`,
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
      ...(lease.holder_kind === 'run' || lease.holder_kind === 'health_check' ? [rooms.run(lease.holder_id)] : []),
    ],
    data: {
      host_name: lease.host_name,
      device_id: lease.device_key,
      holder_kind: lease.holder_kind,
      holder: shownHolder(lease),
      holder_name: readableHolder(lease),
      token: lease.token,
      ...data,
    },
  })
}
