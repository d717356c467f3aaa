import type { Alert } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Queryable, rowsOf } from '../../db/query.ts'

export interface AlertFilter {
  teamId: string
  status: 'active' | 'resolved'
  hostName?: string | undefined
  deviceKey?: string | undefined
  type?: string | undefined
  limit: number
}

/** Alerts of a team, newest start first, in the shape of the original. */
export function listAlerts(db: Queryable, filter: AlertFilter): Promise<Alert[]> {
  return rowsOf(
    db,
    sql<Alert>`
      select a.id, h.name as host_name, d.device_key as device_id, d.name as device_name, a.type as incident_type, a.status,
             a.consecutive_count, a.started_at as start_time, a.ended_at as end_time, a.run_id, a.evidence as metadata,
             a.checked, a.check_kind as check_type, a.discarded as discard, a.discard_kind as discard_type, a.discard_comment,
             a.created_at, a.updated_at
        from alerts a join devices d on d.id = a.device_id join hosts h on h.id = d.host_id
       where a.team_id = ${filter.teamId} and a.status = ${filter.status}
         and (${filter.hostName ?? null}::text is null or h.name = ${filter.hostName ?? null})
         and (${filter.deviceKey ?? null}::text is null or d.device_key = ${filter.deviceKey ?? null})
         and (${filter.type ?? null}::text is null or a.type = ${filter.type ?? null})
       order by a.started_at desc, a.id
       limit ${filter.limit}`,
  )
}
