import type { Lease } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Queryable, rowsOf } from '../../db/query.ts'

export interface LeaseFilter {
  teamId: string
  status: 'held' | 'all'
  hostName: string | undefined
  deviceKey: string | undefined
  limit: number
}

/** Leases as screens show them, newest first. */
export function listLeases(db: Queryable, filter: LeaseFilter): Promise<Lease[]> {
  return rowsOf(
    db,
    sql<Lease>`
      select l.id, h.name as host_name, d.device_key as device_id, l.holder_kind, l.holder_id as holder, l.purpose, l.token,
             l.status, l.granted_at, l.last_activity_at, l.expires_at, l.ended_at, l.end_reason
        from leases l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id
       where l.team_id = ${filter.teamId}
         and (${filter.status} = 'all' or l.status = 'held')
         and (${filter.hostName ?? null}::text is null or h.name = ${filter.hostName ?? null})
         and (${filter.deviceKey ?? null}::text is null or d.device_key = ${filter.deviceKey ?? null})
       order by l.granted_at desc nulls last, l.id
       limit ${filter.limit}`,
  )
}
