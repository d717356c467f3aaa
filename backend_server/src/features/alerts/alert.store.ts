import { type AlertEndReason, type AlertReport, LabError, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, rowsOf } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'
import { suspectDevice } from '../device-health/index.ts'
import { nameThumbnails, type StoredThumbnail } from './alert-thumbnails.ts'

interface StoredAlert {
  id: string
  team_id: string
  device_key: string
  host_name: string
  type: string
  status: 'active' | 'resolved'
  started_at: string
  ended_at: string | null
  end_reason: AlertEndReason | null
  run_id: string | null
}

/** Everything an agent said in one call. A device that is not there any more keeps none of the others from being stored. */
export async function recordAlerts(
  tx: Transaction,
  input: {
    caller: Caller
    hostName: string
    reports: readonly AlertReport[]
    thumbnails: readonly StoredThumbnail[]
  },
): Promise<number> {
  const { caller, hostName, reports } = input
  if (caller.hostName !== null && caller.hostName !== hostName) throw new LabError('host_not_found')
  const host = await firstRow(tx, sql<{ id: string }>`select id from hosts where name = ${hostName} and status <> 'retired'`)
  if (!host) throw new LabError('host_not_found')
  let stored = 0
  // In order of time, so that one that ended makes room for the next of its kind.
  for (const report of [...reports].sort((a, b) => Date.parse(a.started_at) - Date.parse(b.started_at))) {
    const device = await firstRow(
      tx,
      // The row is locked: two reports of one device follow each other, so the index below is never violated.
      sql<{ id: string; team_id: string }>`
        select id, team_id from devices where host_id = ${host.id} and device_key = ${report.device_id} for update`,
    )
    if (!device) continue
    await recordAlert(tx, device, report)
    await nameThumbnails(tx, device, report.id, input.thumbnails)
    stored += 1
  }
  return stored
}

async function recordAlert(tx: Transaction, device: { id: string; team_id: string }, report: AlertReport): Promise<void> {
  const known = await firstRow(
    tx,
    sql<{ status: string; device_id: string }>`select status, device_id from alerts where id = ${report.id}`,
  )
  // An id of another device is a mistake or an attack: nothing of a foreign alert may change.
  if (known && (known.device_id !== device.id || known.status === 'resolved')) return
  if (known) {
    await sql`
      update alerts set consecutive_count = ${report.consecutive_count}, evidence = evidence || ${JSON.stringify(report.evidence)}::jsonb,
             updated_at = now()
       where id = ${report.id}`.execute(tx.kysely)
    const reason = report.end_reason ?? 'seen'
    if (report.ended_at !== null) await endAlerts(tx, sql`a.id = ${report.id}`, report.ended_at, reason)
    return
  }
  // An agent that lost its memory reports anew what it had reported: the older one ends where the newer one begins.
  if (report.status === 'active') {
    const older = sql`a.device_id = ${device.id} and a.type = ${report.type} and a.status = 'active'`
    await endAlerts(tx, older, report.started_at, 'superseded')
  }
  await sql`
    insert into alerts (id, team_id, device_id, type, status, consecutive_count, started_at, ended_at, run_id, evidence)
    select ${report.id}, ${device.team_id}, ${device.id}, ${report.type}, 'active', ${report.consecutive_count}, ${report.started_at},
           null, (select id from runs where device_id = ${device.id} and status = 'running' order by started_at desc limit 1),
           ${JSON.stringify(report.evidence)}::jsonb
    where ${report.status} = 'active'`.execute(tx.kysely)
  if (report.status === 'active') {
    await emitAlerts(tx, 'alert.raised', sql`a.id = ${report.id}`)
    return suspectDevice(tx, device.id, { reason: `alert: ${report.type}`, actor: 'monitor', runId: null })
  }
  // Begun and ended while this server was away.
  await sql`
    insert into alerts (id, team_id, device_id, type, status, consecutive_count, started_at, ended_at, end_reason, evidence)
    values (${report.id}, ${device.team_id}, ${device.id}, ${report.type}, 'resolved', ${report.consecutive_count}, ${report.started_at},
            greatest(${report.ended_at}::timestamptz, ${report.started_at}::timestamptz), ${report.end_reason ?? 'seen'},
            ${JSON.stringify(report.evidence)}::jsonb)`.execute(tx.kysely)
  await emitAlerts(tx, 'alert.resolved', sql`a.id = ${report.id}`)
}

/** Ends the active ones among these, with their events. */
export async function endAlerts(
  tx: Transaction,
  which: ReturnType<typeof sql>,
  endedAt: string | null,
  reason: AlertEndReason,
): Promise<number> {
  const ended = await rowsOf(
    tx,
    sql<{ id: string }>`
      update alerts a set status = 'resolved', end_reason = ${reason}, ended_at = greatest(coalesce(${endedAt}::timestamptz, now()), a.started_at), updated_at = now()
       where a.status = 'active' and ${which}
      returning a.id`,
  )
  const ids = ended.map((alert) => alert.id)
  if (ids.length > 0) await emitAlerts(tx, 'alert.resolved', sql`a.id = any(${ids}::uuid[])`)
  return ids.length
}

async function emitAlerts(
  tx: Transaction,
  type: 'alert.raised' | 'alert.resolved',
  which: ReturnType<typeof sql>,
): Promise<void> {
  const alerts = await rowsOf(
    tx,
    sql<StoredAlert>`
      select a.id, a.team_id, d.device_key, h.name as host_name, a.type, a.status, a.started_at, a.ended_at, a.end_reason,
             a.run_id
        from alerts a join devices d on d.id = a.device_id join hosts h on h.id = d.host_id
       where ${which}`,
  )
  for (const alert of alerts) {
    const { team_id: teamId, host_name, device_key: device_id } = alert
    tx.emit({
      teamId,
      type,
      subjectKind: 'alert',
      subjectId: alert.id,
      rooms: [rooms.team(teamId), rooms.host(host_name), rooms.device(host_name, device_id)],
      data: {
        host_name,
        device_id,
        incident_type: alert.type,
        start_time: alert.started_at,
        end_time: alert.ended_at,
        end_reason: alert.end_reason,
        run_id: alert.run_id,
      },
    })
  }
}

/** Deletes every alert of a team with its pictures. A host that still sees a fault says so again when it ends. */
export async function deleteAlerts(tx: Transaction, teamId: string): Promise<number> {
  const gone = await rowsOf(
    tx,
    sql<{ start_artifact_id: string | null; end_artifact_id: string | null }>`
      delete from alerts where team_id = ${teamId} returning start_artifact_id, end_artifact_id`,
  )
  const pictures = gone.flatMap(({ start_artifact_id, end_artifact_id }) =>
    [start_artifact_id, end_artifact_id].filter((id) => id !== null),
  )
  await sql`update artifacts set status = 'deleted' where id = any(${pictures}::uuid[])`.execute(tx.kysely)
  if (gone.length > 0) {
    const about = { teamId, subjectKind: 'team', subjectId: teamId, rooms: [rooms.team(teamId)] }
    tx.emit({ ...about, type: 'alert.deleted', data: { count: gone.length } })
  }
  return gone.length
}
