import type { Lease } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'

export interface LeaseFilter {
  teamId: string
  status: 'held' | 'waiting' | 'all'
  hostName: string | undefined
  deviceKey: string | undefined
  limit: number
}

/** `holder` never shows the id of a token; compare shownHolder and readableHolder. */
const shown = sql`
  l.id, h.name as host_name, d.device_key as device_id, l.holder_kind,
  case when l.holder_kind = 'user' then coalesce(l.holder_name, l.holder_id) else l.holder_id end as holder,
  coalesce(l.holder_name, case when l.holder_kind = 'user' then l.holder_id else coalesce(l.purpose, l.holder_id) end) as holder_name,
  l.purpose, l.priority, l.token, l.status, l.requested_at, l.granted_at, l.last_activity_at, l.expires_at, l.kept_until, l.beats,
  l.ended_at, l.end_reason, l.ended_by,
  case when l.status = 'waiting' then (
    select 1 + count(*)::int from device_line w
     where w.device_id = l.device_id
       and (w.priority > l.priority or w.priority = l.priority and (w.since, w.id) < (l.requested_at, l.id))
  ) end as position
  from leases l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id`

/** Leases as screens show them, newest first; who waits, in the order of the line. */
export function listLeases(db: Queryable, filter: LeaseFilter): Promise<Lease[]> {
  return rowsOf(
    db,
    sql<Lease>`
      select ${shown}
       where l.team_id = ${filter.teamId}
         and (${filter.status} = 'all' or l.status = ${filter.status})
         and (${filter.hostName ?? null}::text is null or h.name = ${filter.hostName ?? null})
         and (${filter.deviceKey ?? null}::text is null or d.device_key = ${filter.deviceKey ?? null})
       order by position nulls last, l.granted_at desc nulls last, l.id
       limit ${filter.limit}`,
  )
}

export async function readLease(db: Queryable, id: string): Promise<Lease> {
  const lease = await firstRow(db, sql<Lease>`select ${shown} where l.id = ${id}`)
  if (!lease) throw new Error(`lease ${id} is gone`)
  return lease
}
