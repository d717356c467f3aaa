import { alertRoutes, LabError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Database, inTransaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import type { Mount } from '../../http/mount.ts'
import { findFreeArtifact, type ObjectStore, sendArtifact } from '../artifacts/index.ts'
import { writeAudit } from '../audit/index.ts'
import { deleteAlerts, recordAlerts } from './alert.store.ts'
import { findThumbnail, listAlerts } from './alert.view.ts'
import { storeThumbnails } from './alert-thumbnails.ts'

interface Filter {
  host_name?: string | undefined
  device_id?: string | undefined
  incident_type?: string | undefined
}

export function mountAlertRoutes(mount: Mount, { db, store }: { db: Database; store: ObjectStore }): void {
  const list = (teamId: string, query: Filter, status: 'active' | 'resolved', limit: number) =>
    listAlerts(db, { teamId, status, hostName: query.host_name, deviceKey: query.device_id, type: query.incident_type, limit })

  mount(alertRoutes.report, async ({ body, caller }) => {
    const thumbnails = await storeThumbnails(db, store, body.alerts)
    const said = { caller, hostName: body.host_name, reports: body.alerts, thumbnails }
    const stored = await inTransaction(db, (tx) => recordAlerts(tx, said))
    return { success: true, stored }
  })

  mount(alertRoutes.all, async ({ query, caller }) => {
    const active = await list(caller.teamId, query, 'active', query.active_limit)
    const resolved = await list(caller.teamId, query, 'resolved', query.resolved_limit)
    const alerts = [...active, ...resolved].sort((a, b) => Date.parse(b.start_time) - Date.parse(a.start_time))
    return { success: true, alerts, count: alerts.length, active_count: active.length, resolved_count: resolved.length }
  })

  mount(alertRoutes.active, async ({ query, caller }) => {
    const alerts = await list(caller.teamId, query, 'active', query.limit)
    return { success: true, alerts, count: alerts.length }
  })

  mount(alertRoutes.closed, async ({ query, caller }) => {
    const alerts = await list(caller.teamId, query, 'resolved', query.limit)
    return { success: true, alerts, count: alerts.length }
  })

  mount(alertRoutes.check, async ({ params, body, caller }) => {
    const row = await firstRow(
      db,
      sql<{ id: string }>`
        update alerts set checked = ${body.checked}, check_kind = ${body.check_type ?? 'manual'}, updated_at = now()
         where id = ${params.alert_id} and team_id = ${caller.teamId} returning id`,
    )
    if (!row) throw new LabError('not_found', { text: 'There is no such alert in this team.' })
    return { status: 'success' }
  })

  mount(alertRoutes.discard, async ({ params, body, caller }) => {
    const row = await firstRow(
      db,
      sql<{ id: string }>`
        update alerts set discarded = ${body.discard}, discard_comment = ${body.discard_comment ?? null},
               discard_kind = ${body.discard_type ?? body.check_type ?? null}, checked = true, updated_at = now()
         where id = ${params.alert_id} and team_id = ${caller.teamId} returning id`,
    )
    if (!row) throw new LabError('not_found', { text: 'There is no such alert in this team.' })
    return { status: 'success' }
  })

  mount(alertRoutes.thumbnail, async ({ params, caller, reply }) => {
    const artifactId = await findThumbnail(db, { id: params.alert_id, teamId: caller.teamId, moment: params.moment })
    if (artifactId === undefined) throw new LabError('not_found', { text: 'There is no such picture of an alert.' })
    return sendArtifact(reply, store, await findFreeArtifact(db, caller.teamId, artifactId))
  })

  mount(alertRoutes.deleteAll, async ({ caller, request }) => {
    const deleted_count = await inTransaction(db, async (tx) => {
      const count = await deleteAlerts(tx, caller.teamId)
      await writeAudit(tx, { caller, action: 'alert.delete_all', requestId: request.id, details: { count } })
      return count
    })
    return { success: true, deleted_count, message: 'Alerts deleted' }
  })
}
