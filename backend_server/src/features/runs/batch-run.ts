import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import { claimDevice, type LeaseRow, lockHeldLease } from '../leases/index.ts'
import { deviceBusy, lockedError } from './assign-run.ts'
import { finishRun, type RunEnd } from './finish-run.ts'
import { emitRun, type RunRow, runColumns } from './run.store.ts'

/** Nothing that a person starts by hand goes on for longer. */
const batchLimitSeconds = 1800
/** Until the host has accepted the work; afterwards each answer of the host moves it. */
const startLimitSeconds = 240

export interface NewBatchRun {
  /** Of work that is over already: what was kept of it is named after its run. */
  id?: string
  tookMs?: number
  teamId: string
  name: string
  host: { id: string; name: string }
  device: { id: string; key: string; name: string | null; model: string | null; fence: number }
  requestedBy: string | null
  requestedIp: string
  metadata: Record<string, unknown>
  /** For work that says nothing until it has ended. */
  silentSeconds?: number
  /** The lease on which whoever asks may work, as far as it is known: their own, or that of a run of theirs. */
  leaseId: string | null
  /**
   * Whether it takes a device that nobody holds: work that changes it `must` have it, or `may` where login is off, where calls are
   * not refused and nobody can be told apart for sure; what only looks does not (`no`).
   */
  claims: 'must' | 'may' | 'no'
}

/**
 * Work that the host begins at once. It stands on the lease of whoever asks, or on one of its own on a device that was free,
 * and ends when that lease does; an agent ends it by itself when the device is given to somebody else (a higher fence). It
 * begins as running: the dispatcher, which sends scripts, never sees it.
 */
export async function insertBatchRun(tx: Transaction, batch: NewBatchRun): Promise<RunRow> {
  const { host, device } = batch
  const id = batch.id ?? randomUUID()
  const lease = await leaseForBatch(tx, id, batch)
  const begun = sql`now() - make_interval(secs => ${(batch.tookMs ?? 0) / 1000})`
  const run = await firstRow(
    tx,
    sql<RunRow>`
      insert into runs (id, team_id, kind, name, host_id, device_id, host_name, device_key, device_name, device_model, status,
                        source, requested_by, requested_ip, assigned_at, started_at, dispatched_at, dispatch_confirmed_at,
                        deadline_at, timeout_seconds, alive_until, lease_id, lease_token, metadata)
      values (${id}, ${batch.teamId}, 'batch', ${batch.name}, ${host.id}, ${device.id}, ${host.name}, ${device.key},
              ${device.name}, ${device.model}, 'running', 'manual', ${batch.requestedBy}, ${batch.requestedIp}, ${begun}, ${begun}, ${begun}, now(),
              now() + make_interval(secs => ${batchLimitSeconds}), ${batchLimitSeconds},
              now() + make_interval(secs => ${batch.silentSeconds ?? startLimitSeconds}), ${lease?.id ?? null},
              ${lease?.token ?? device.fence}, ${JSON.stringify(batch.metadata)})
      returning ${runColumns}`,
  )
  if (!run) throw new Error('an insert without condition returned no row')
  emitRun(tx, 'run.running', run)
  return run
}

async function leaseForBatch(tx: Transaction, runId: string, batch: NewBatchRun): Promise<LeaseRow | undefined> {
  const held = await lockHeldLease(tx, batch.device.id)
  if (held && (await mayJoin(tx, held, batch))) return held
  if (held && batch.claims === 'must') throw lockedError(held)
  if (held || batch.claims === 'no') return undefined
  const own = await claimDevice(tx, {
    teamId: batch.teamId,
    deviceId: batch.device.id,
    holder: { kind: 'run', id: runId, name: batch.name, ip: null },
    purpose: batch.name,
  })
  if (!own && batch.claims === 'must') throw await deviceBusy(tx, batch.device.id)
  return own
}

/** The call was admitted on what was true before; batches that begin together share the lease that the first one got. */
async function mayJoin(tx: Transaction, held: LeaseRow, batch: NewBatchRun): Promise<boolean> {
  if (held.id === batch.leaseId) return true
  if (held.holder_kind !== 'run' || batch.claims === 'no') return false
  if (batch.claims === 'may') return true
  const own = await firstRow(
    tx,
    sql`select 1 from runs where id::text = ${held.holder_id} and kind = 'batch' and requested_by = ${batch.requestedBy}`,
  )
  return own !== undefined
}

/** The host has shown that it still works on the run: a sign of life of its lease too. */
export async function keepBatchAlive(tx: Transaction, runId: string, seconds: number): Promise<void> {
  await sql`
    with alive as (
      update runs set alive_until = now() + make_interval(secs => ${seconds}), updated_at = now()
       where id = ${runId} and status = 'running' returning lease_id
    )
    update leases set last_activity_at = now(), expires_at = greatest(expires_at, now() + make_interval(secs => ${seconds}))
     where id = (select lease_id from alive) and status = 'held'`.execute(tx.kysely)
}

/** Ends a batch whose lease has ended: whoever has the device now must not find another's work on it. Undefined while it stands. */
export async function endBatchWithoutLease(tx: Transaction, run: RunRow): Promise<RunRow | undefined> {
  if (run.lease_id === null) return undefined
  const ended = await firstRow(
    tx,
    sql<{ status: string; end_reason: string | null }>`
      select status, end_reason from leases where id = ${run.lease_id} and (status <> 'held' or token is distinct from ${run.lease_token})`,
  )
  return ended && finishRun(tx, run.id, leaseLost(ended))
}

export const leaseLost = (lease: { status: string; end_reason: string | null }): RunEnd => ({
  status: 'cancelled',
  errorCode: 'lease_lost',
  errorMessage: `the lease under which it began has ended (${lease.status}${lease.end_reason === null ? '' : `: ${lease.end_reason}`})`,
  result: { success: false },
})
