import { type DeviceStatus, deviceMoves, LabError, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'
import { endWaiting, grantNext, type LeaseRow, lockHeldLease, readableHolder } from '../leases/index.ts'
import type { RunRow } from '../runs/index.ts'

export interface DeviceRow {
  id: string
  team_id: string
  host_name: string
  device_key: string
  host_online: boolean
  present: boolean
  status: DeviceStatus
}

export function findDevice(
  db: Queryable,
  device: { teamId: string; hostName: string; deviceKey: string },
): Promise<DeviceRow | undefined> {
  return firstRow(
    db,
    sql<DeviceRow>`
      select d.id, d.team_id, h.name as host_name, d.device_key, h.status in ('online', 'draining') as host_online, d.present, d.status
        from devices d join hosts h on h.id = d.host_id
       where d.team_id = ${device.teamId} and h.name = ${device.hostName} and d.device_key = ${device.deviceKey} and h.status <> 'retired'`,
  )
}

export type TakeAwayLeases = (
  tx: Transaction,
  leaseIds: readonly string[],
  end: { reason: string; by: string | null },
) => Promise<{ runs: RunRow[] }>

export interface StatusChange {
  wanted: 'available' | 'maintenance' | 'retired'
  reason: string
  actor: string
  /** Whoever has the device loses it. */
  force: boolean
}

/** What people decide about a device: out for maintenance, back, or gone for good. Returns who lost it, and the runs that ended. */
export async function changeDeviceStatus(
  tx: Transaction,
  device: DeviceRow,
  change: StatusChange,
  takeAwayLeases: TakeAwayLeases,
): Promise<{ takenFrom: LeaseRow | undefined; runs: RunRow[] }> {
  const held = change.wanted === 'available' ? undefined : await lockHeldLease(tx, device.id)
  if (held && !change.force) {
    throw new LabError('device_locked', {
      errorType: 'device_locked',
      text: `${readableHolder(held)} has this device: wait, ask, or send force.`,
    })
  }
  // The status first: an end of the lease gives the device to the next in its line only while it is available.
  await setStatus(tx, device, change)
  if (change.wanted !== 'available') await assertNobodyElse(tx, device, held)
  if (!held) return { takenFrom: undefined, runs: [] }
  const { runs } = await takeAwayLeases(tx, [held.id], { reason: change.reason, by: change.actor })
  return { takenFrom: held, runs }
}

/**
 * Leases are locked before devices everywhere, so somebody may have taken the device between the look at its lease and the lock
 * of its row. From here on nobody can; whoever did keeps it, and the change begins anew.
 */
async function assertNobodyElse(tx: Transaction, device: DeviceRow, seen: LeaseRow | undefined): Promise<void> {
  const held = await firstRow(tx, sql<{ id: string }>`select id from leases where device_id = ${device.id} and status = 'held'`)
  if (held && held.id !== seen?.id)
    throw new LabError('device_locked', {
      errorType: 'device_locked',
      text: 'Somebody took this device at this moment. Send it again.',
    })
}

async function setStatus(tx: Transaction, device: DeviceRow, { wanted, ...why }: StatusChange): Promise<void> {
  // The host first: one that goes away, or comes back, at this moment must see the new status of the device.
  await sql`select 1 from hosts where name = ${device.host_name} for share`.execute(tx.kysely)
  const locked = await firstRow(
    tx,
    sql<{ status: DeviceStatus; present: boolean; host_online: boolean }>`
      select d.status, d.present, h.status in ('online', 'draining') as host_online
        from devices d join hosts h on h.id = d.host_id where d.id = ${device.id} for no key update of d`,
  )
  if (!locked) throw new LabError('device_not_found')
  if (locked.status === wanted) return
  // A device whose host is away is not free when its maintenance is over; and only people end a maintenance, not hosts.
  const to: DeviceStatus = wanted === 'available' && !(locked.host_online && locked.present) ? 'offline' : wanted
  const isLegal = (deviceMoves[locked.status] as readonly DeviceStatus[]).includes(to)
  if (!isLegal || (wanted === 'available' && locked.status !== 'maintenance')) {
    throw new LabError('illegal_move', { text: `A device that is ${locked.status} cannot become ${wanted}.` })
  }
  await sql`select set_config('virtualpytest.status_reason', ${why.reason}, true),
                   set_config('virtualpytest.status_actor', ${why.actor}, true)`.execute(tx.kysely)
  await sql`update devices set status = ${to}, updated_at = now() where id = ${device.id}`.execute(tx.kysely)
  await sql`select set_config('virtualpytest.status_reason', '', true), set_config('virtualpytest.status_actor', '', true)`.execute(
    tx.kysely,
  )
  tx.emit({
    teamId: device.team_id,
    type: 'device.status_changed',
    subjectKind: 'device',
    subjectId: `${device.host_name}:${device.device_key}`,
    rooms: [rooms.team(device.team_id), rooms.host(device.host_name), rooms.device(device.host_name, device.device_key)],
    data: {
      host_name: device.host_name,
      device_id: device.device_key,
      from: locked.status,
      to,
      reason: why.reason,
      by: why.actor,
    },
  })
  if (to === 'available') await grantNext(tx, device.id)
  if (to === 'retired') await endLine(tx, device.id, why.reason)
}

async function endLine(tx: Transaction, deviceId: string, reason: string): Promise<void> {
  const waiting = await rowsOf(
    tx,
    sql<{ id: string }>`select id from leases where device_id = ${deviceId} and status = 'waiting' order by id`,
  )
  await endWaiting(
    tx,
    waiting.map((lease) => lease.id),
    { status: 'expired', reason: `the device was retired: ${reason}` },
  )
}
