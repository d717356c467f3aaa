import { LabError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, rowsOf } from '../../db/query.ts'
import {
  claimDevice,
  type Holder,
  type LeaseRow,
  lockHeldLease,
  ownsLease,
  readableHolder,
  shownHolder,
} from '../leases/index.ts'
import { emitRun, type RunRow, runColumns } from './run.store.ts'

/** Gives the run its device under a lease of its own; undefined when the device is not free. */
export async function assignRun(tx: Transaction, run: RunRow): Promise<RunRow | undefined> {
  if (run.device_id === null) return undefined
  const lease = await claimDevice(tx, {
    teamId: run.team_id,
    deviceId: run.device_id,
    holder: { kind: 'run', id: run.id, name: run.name, ip: null },
    purpose: run.name,
    rank: { priority: run.priority, since: run.queued_at },
    notBad: true,
  })
  return lease && moveToAssigned(tx, run, lease)
}

/**
 * A run that the owner of a device starts borrows the owner's lease instead of waiting for it; one run at a time. What the
 * owner does by hand meanwhile (batches) is their own affair.
 */
export async function borrowLease(
  tx: Transaction,
  run: RunRow,
  holder: Holder,
  ownerByAddress: boolean,
): Promise<RunRow | undefined> {
  if (run.device_id === null) return undefined
  const lease = await lockHeldLease(tx, run.device_id)
  if (!lease || !ownsLease(lease, holder, ownerByAddress)) return undefined
  const borrowed = await firstRow(
    tx,
    sql`select 1 from runs where lease_id = ${lease.id} and kind <> 'batch' and status in ('assigned', 'running') limit 1`,
  )
  return borrowed ? undefined : moveToAssigned(tx, run, lease)
}

/**
 * `alive_until`: our agents renew it with their beats. An original host sends none, so there the run (and its lease) is
 * trusted until its limit, plus the time its last callback may take.
 */
async function moveToAssigned(tx: Transaction, run: RunRow, lease: LeaseRow): Promise<RunRow | undefined> {
  const assigned = await firstRow(
    tx,
    sql<RunRow>`
      with host as (select agent is not null as beats from hosts where id = ${run.host_id}::uuid)
      update runs
         set status = 'assigned', assigned_at = now(), updated_at = now(), lease_id = ${lease.id}, lease_token = ${lease.token},
             deadline_at = now() + make_interval(secs => timeout_seconds + case when (select beats from host) then 0 else 300 end),
             alive_until = case when (select beats from host) then now() + interval '30 seconds'
                                else now() + make_interval(secs => timeout_seconds + 300) end
       where id = ${run.id} and status = 'queued'
      returning ${runColumns}`,
  )
  if (!assigned) return undefined
  await sql`update leases set expires_at = greatest(expires_at, ${assigned.alive_until}::timestamptz) where id = ${lease.id}`.execute(
    tx.kysely,
  )
  emitRun(tx, 'run.assigned', assigned, { token: lease.token })
  return assigned
}

/** Assigns the run that is next on a device, if the device is free. Safe to call at any time, by any server. */
export async function assignNextRun(tx: Transaction, deviceId: string): Promise<RunRow | undefined> {
  const next = await firstRow(
    tx,
    sql<RunRow>`
      select ${runColumns} from runs
       where device_id = ${deviceId} and status = 'queued' and cancel_requested_at is null
       order by priority desc, queued_at, id
       limit 1
         for update skip locked`,
  )
  return next && assignRun(tx, next)
}

/** Free devices that somebody waits for. */
export async function devicesWithWaitingRuns(tx: Transaction): Promise<string[]> {
  const rows = await rowsOf(
    tx,
    sql<{ id: string }>`
      select distinct d.id from runs r join devices d on d.id = r.device_id
       where r.status = 'queued' and d.status = 'available' and d.health <> 'bad' limit 200`,
  )
  return rows.map((row) => row.id)
}

/** Says why a device could not be had: 423 with its holder, or 503 when it is away. */
export async function deviceBusy(tx: Transaction, deviceId: string, options: { showAddress?: boolean } = {}): Promise<LabError> {
  const lease = await lockHeldLease(tx, deviceId)
  if (lease) return lockedError(lease, options)
  const device = await firstRow(tx, sql<{ status: string }>`select status from devices where id = ${deviceId}`)
  return notFreeError(device?.status ?? 'unknown')
}

/** A device that nobody holds and that is still not to be had. */
export function notFreeError(status: string): LabError {
  if (status === 'offline')
    return new LabError('host_offline', { errorType: 'network_error', text: 'The host of the device is offline.' })
  if (status === 'maintenance') return new LabError('device_in_maintenance', { errorType: 'device_locked' })
  if (status === 'retired')
    return new LabError('device_not_found', { errorType: 'device_not_found', text: 'This device is retired.' })
  return new LabError('device_locked', { errorType: 'device_locked', text: 'Others wait for this device, and it is their turn.' })
}

/** Where somebody works from is for administrators. */
export function lockedError(lease: LeaseRow, { showAddress = false }: { showAddress?: boolean } = {}): LabError {
  const since = new Date(lease.granted_at).toISOString()
  return new LabError('device_locked', {
    errorType: 'device_locked',
    text: `Device is locked by ${lease.holder_kind === 'user' ? shownHolder(lease) : `${lease.holder_kind === 'run' ? 'run' : readableHolder(lease)} ${lease.holder_id}`} since ${since}`,
    extra: {
      locked_by: shownHolder(lease),
      locked_by_name: readableHolder(lease),
      locked_at: Date.parse(lease.granted_at) / 1000,
      locked_ip: showAddress ? lease.holder_ip : null,
      locked_until: lease.expires_at,
      last_activity_at: lease.last_activity_at,
      holder_kind: lease.holder_kind,
    },
  })
}
