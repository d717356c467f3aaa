import {
  type DeviceHealth,
  type DeviceHealthChange,
  type DeviceHealthState,
  deviceHealthMoves,
  LabError,
  rooms,
} from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'

/*
 * The health of a device moves here and nowhere else: state, history and event in the transaction of what was found out.
 * The row of the device is locked last, after runs and leases, as everywhere.
 */

export interface HealthReason {
  reason: string
  actor: string
  runId: string | null
}

/** Fields of a device, for a statement over `d` (devices). */
export const healthColumn = sql`
  jsonb_build_object('state', d.health, 'reason', d.health_reason, 'since', d.health_since, 'checked_at', d.health_checked_at)`

interface LockedDevice {
  id: string
  team_id: string
  host_name: string
  device_key: string
  health: DeviceHealthState
}

/** Only where the health is one of these: a device that cannot move is not locked. */
const lockDevice = (tx: Transaction, deviceId: string, from: readonly DeviceHealthState[]): Promise<LockedDevice | undefined> =>
  firstRow(
    tx,
    sql<LockedDevice>`
      select d.id, d.team_id, h.name as host_name, d.device_key, d.health
        from devices d join hosts h on h.id = d.host_id where d.id = ${deviceId} and d.health = any(${from}::text[]) for no key update of d`,
  )

/** Moves the health if that is legal from what it is now; otherwise nothing was found out that is not known. */
async function move(tx: Transaction, device: LockedDevice, to: DeviceHealthState, why: HealthReason): Promise<void> {
  if (!(deviceHealthMoves[device.health] as readonly DeviceHealthState[]).includes(to)) return
  const reason = why.reason.slice(0, 500)
  await sql`
    update devices set health = ${to}, health_reason = ${reason}, health_since = now(), updated_at = now()
     where id = ${device.id}`.execute(tx.kysely)
  await sql`
    insert into device_health_history (device_id, from_health, to_health, reason, actor, run_id)
    values (${device.id}, ${device.health}, ${to}, ${reason}, ${why.actor}, ${why.runId})`.execute(tx.kysely)
  const { host_name, device_key: device_id } = device
  tx.emit({
    teamId: device.team_id,
    type: 'device.health_changed',
    subjectKind: 'device',
    subjectId: `${host_name}:${device_id}`,
    rooms: [rooms.team(device.team_id), rooms.host(host_name), rooms.device(host_name, device_id)],
    data: { host_name, device_id, from: device.health, to, reason, by: why.actor, run_id: why.runId },
  })
}

/** Something of the lab failed while this device was in use: a good one is checked again. */
export async function suspectDevice(tx: Transaction, deviceId: string, why: HealthReason): Promise<void> {
  const device = await lockDevice(tx, deviceId, ['good'])
  if (device) await move(tx, device, 'suspect', why)
}

/** A person asks for a check of a bad device: until its verdict nothing is known. */
export async function doubtBadDevice(tx: Transaction, deviceId: string, why: HealthReason): Promise<void> {
  const device = await lockDevice(tx, deviceId, ['bad'])
  if (device) await move(tx, device, 'unknown', why)
}

/** The verdict of a check. A good device that fails one is suspect first, and bad when the next one fails too. */
export async function judgeDevice(tx: Transaction, deviceId: string, works: boolean, why: HealthReason): Promise<void> {
  const device = await lockDevice(tx, deviceId, ['unknown', 'good', 'suspect', 'bad'])
  if (!device) return
  await move(tx, device, works ? 'good' : device.health === 'good' ? 'suspect' : 'bad', why)
  await sql`update devices set health_checked_at = now() where id = ${device.id}`.execute(tx.kysely)
}

/** Refuses a run on a device that is known not to work. People may still take it by hand. */
export async function assertNotBad(db: Queryable, deviceId: string): Promise<void> {
  const bad = await firstRow(
    db,
    sql<{ host_name: string; device_key: string; health_reason: string | null; since: string | null }>`
      select h.name as host_name, d.device_key, d.health_reason, d.health_since as since
        from devices d join hosts h on h.id = d.host_id where d.id = ${deviceId} and d.health = 'bad'`,
  )
  if (!bad) return
  const { host_name, device_key, health_reason, since } = bad
  throw new LabError('device_bad', {
    text:
      `Device "${device_key}" of host "${host_name}" is bad and gets no runs (${health_reason ?? 'no reason known'}). ` +
      `When it is mended, ask for a check: vpt check ${host_name}:${device_key}, or POST /server/devices/${host_name}/${device_key}/check.`,
    extra: { health_reason, bad_since: since },
  })
}

export async function readHealth(db: Queryable, deviceId: string): Promise<DeviceHealth> {
  const row = await firstRow(
    db,
    sql<{ health: DeviceHealth }>`select ${healthColumn} as health from devices d where id = ${deviceId}`,
  )
  if (!row) throw new LabError('device_not_found', { errorType: 'device_not_found' })
  return row.health
}

/** Changes of a device's health, newest first. */
export function listHealthChanges(
  db: Queryable,
  query: { deviceId: string; before: number | undefined; limit: number },
): Promise<DeviceHealthChange[]> {
  return rowsOf(
    db,
    sql<DeviceHealthChange>`
      select id, from_health, to_health, reason, actor, run_id, at from device_health_history
       where device_id = ${query.deviceId} and (${query.before ?? null}::bigint is null or id < ${query.before ?? null})
       order by id desc
       limit ${query.limit}`,
  )
}
