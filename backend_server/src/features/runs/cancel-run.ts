import { isFinalRun, LabError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, rowsOf } from '../../db/query.ts'
import { finishRun } from './finish-run.ts'
import { emitRun, lockRun, type RunRow, runColumns } from './run.store.ts'

/** A waiting run ends at once, and so does a health check, which this server makes itself; one that a host has is asked to stop, and ends when the host says so or by the sweep. */
export async function cancelRun(tx: Transaction, input: { runId: string; teamId: string; reason: string }): Promise<RunRow> {
  const run = await lockRun(tx, input.runId)
  if (!run || run.team_id !== input.teamId) throw new LabError('run_not_found')
  if (isFinalRun(run.status)) throw new LabError('run_finished', { text: `This run has already ended (${run.status}).` })
  if (run.status === 'queued' || run.kind === 'health_check' || (run.status === 'assigned' && run.dispatched_at === null)) {
    return (await finishRun(tx, run.id, { status: 'cancelled', errorMessage: input.reason })) ?? run
  }
  const asked = await firstRow(
    tx,
    sql<RunRow>`
      update runs set cancel_requested_at = coalesce(cancel_requested_at, now()), cancel_reason = ${input.reason}, updated_at = now()
       where id = ${run.id} returning ${runColumns}`,
  )
  if (!asked) return run
  emitRun(tx, 'run.cancel_requested', asked, { reason: input.reason })
  return asked
}

/** Cancels the open runs that hold these leases, because somebody took the devices away from them. */
export async function cancelRunsOfLeases(tx: Transaction, leaseIds: readonly string[], reason: string): Promise<RunRow[]> {
  const open = await rowsOf(
    tx,
    sql<{
      id: string
    }>`select id from runs where lease_id = any(${leaseIds}::uuid[]) and status in ('assigned', 'running') order by id`,
  )
  const ended: RunRow[] = []
  for (const { id } of open) {
    const run = await finishRun(tx, id, { status: 'cancelled', errorMessage: reason })
    if (run) ended.push(run)
  }
  return ended
}
