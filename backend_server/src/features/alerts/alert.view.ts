import type { Alert } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'

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
             a.consecutive_count, a.started_at as start_time, a.ended_at as end_time, a.end_reason,
             extract(epoch from a.ended_at - a.started_at)::float8 as duration_seconds,
             case when a.start_artifact_id is not null then '/server/alerts/' || a.id || '/thumbnail/start' end as start_thumbnail_url,
             case when a.end_artifact_id is not null then '/server/alerts/' || a.id || '/thumbnail/end' end as end_thumbnail_url,
             a.run_id, a.evidence as metadata,
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

/** The artifact with what the screen showed; undefined when there is no such alert or picture. */
export async function findThumbnail(
  db: Queryable,
  alert: { id: string; teamId: string; moment: 'start' | 'end' },
): Promise<string | undefined> {
  const column = sql.ref(alert.moment === 'start' ? 'start_artifact_id' : 'end_artifact_id')
  const row = await firstRow(
    db,
    sql<{ artifact_id: string | null }>`
      select ${column} as artifact_id from alerts where id = ${alert.id} and team_id = ${alert.teamId}`,
  )
  return row?.artifact_id ?? undefined
}
