import type { finalRunStatuses, RunStatus } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, rowsOf } from '../../db/query.ts'
import { suspectDevice } from '../device-health/index.ts'
import { endLeases, personSeconds } from '../leases/index.ts'
import { emitRun, type RunFailure, type RunRow, runColumns, statesBefore } from './run.store.ts'
import { insertRetry } from './submit-run.ts'

export type FinalStatus = (typeof finalRunStatuses)[number]

export interface RunEnd {
  status: FinalStatus
  failureClass?: RunRow['failure_class']
  errorCode?: string | null | undefined
  errorMessage?: string | null | undefined
  result?: Record<string, unknown> | null
  reportUrl?: string | null | undefined
  logsUrl?: string | null | undefined
  /** Only the holder of this token may end the run. */
  token?: number | undefined
}

/**
 * The one way a run ends. Its own lease ends with it, a borrowed one goes back to its owner, and an end by infrastructure
 * starts the next attempt while the retry policy has any left. Undefined when the run had ended already, or the token is old.
 */
export async function finishRun(tx: Transaction, runId: string, end: RunEnd): Promise<RunRow | undefined> {
  const from: RunStatus[] = statesBefore(end.status)
  const run = await firstRow(
    tx,
    sql<RunRow>`
      update runs
         set status = ${end.status}, finished_at = greatest(now(), started_at), updated_at = now(), alive_until = null,
             failure_class = ${end.failureClass ?? null}, error_code = ${end.errorCode ?? null},
             error_message = ${end.errorMessage ?? null}, result = coalesce(${toJson(end.result)}::jsonb, result),
             report_url = coalesce(${end.reportUrl ?? null}, report_url), logs_url = coalesce(${end.logsUrl ?? null}, logs_url)
       where id = ${runId} and status = any(${from}::text[])
         and (${end.token ?? null}::bigint is null or lease_token = ${end.token ?? null})
      returning ${runColumns}`,
  )
  if (!run) return undefined
  // A step that was under way when the run ended did not pass.
  await sql`update run_steps set outcome = 'error', message = coalesce(message, 'the run ended during this step')
             where run_id = ${run.id} and outcome is null`.execute(tx.kysely)
  // Before the lease: whoever is granted the device next comes after this end in the history.
  emitRun(tx, 'run.finished', run, {
    success: run.status === 'passed',
    error_code: run.error_code,
    error_message: run.error_message,
    failure_class: run.failure_class,
  })
  if (run.lease_id !== null) await giveBackLease(tx, run, run.lease_id)
  if (run.status === 'error' && run.failure_class === 'infrastructure') {
    if (run.device_id !== null) {
      const reason = `${run.error_code ?? 'error'}: ${run.error_message ?? ''}`
      await suspectDevice(tx, run.device_id, { reason, actor: run.name, runId: run.id })
    }
    if (run.retries_left > 0) await insertRetry(tx, run, { retriesLeft: run.retries_left - 1, requestedBy: null })
  }
  return run
}

const toJson = (value: Record<string, unknown> | null | undefined): string | null => (value ? JSON.stringify(value) : null)

async function giveBackLease(tx: Transaction, run: RunRow, leaseId: string): Promise<void> {
  const own = await firstRow(
    tx,
    sql`select 1 from leases where id = ${leaseId} and holder_kind in ('run', 'health_check') and holder_id = ${run.id}`,
  )
  if (own) {
    // Others that work on it too, such as a batch by hand beside it, go on with it.
    const heir = await firstRow(
      tx,
      sql`
        update leases set holder_id = r.id::text, holder_name = r.name, purpose = r.name
          from (select id, name from runs where lease_id = ${leaseId} and status in ('assigned', 'running') order by assigned_at, id limit 1) r
         where leases.id = ${leaseId} and leases.status = 'held'
        returning leases.id`,
    )
    if (heir) return
    await endLeases(tx, [leaseId], { status: 'released', reason: `run ${run.status}` })
    return
  }
  await sql`update leases set expires_at = greatest(now() + ${personSeconds}, kept_until), last_activity_at = now()
             where id = ${leaseId} and status = 'held'`.execute(tx.kysely)
}

export const infrastructureEnd = (failure: RunFailure): RunEnd => ({
  status: 'error',
  failureClass: 'infrastructure',
  errorCode: failure.code,
  errorMessage: failure.message,
})

/** Ends the open runs of a host that went away for good. */
export async function endRunsOfHost(tx: Transaction, hostId: string): Promise<void> {
  const open = await rowsOf(
    tx,
    sql<{ id: string }>`select id from runs where host_id = ${hostId} and status in ('assigned', 'running') order by id`,
  )
  for (const run of open) {
    await finishRun(
      tx,
      run.id,
      infrastructureEnd({ code: 'host_lost', message: 'The host unregistered while the run was open.' }),
    )
  }
}
