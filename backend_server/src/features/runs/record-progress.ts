import { LabError, type RunProgress, type RunStep } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'
import { emitRun, lockRun, type RunRow, runColumns } from './run.store.ts'

/** The run, if this host still holds it with this token; otherwise the refusal that makes the agent drop its work. */
export async function lockOwnedRun(
  tx: Transaction,
  claim: { runId: string; hostName: string; token: number; caller: Caller },
): Promise<RunRow> {
  const run = await lockRun(tx, claim.runId)
  if (!run || run.host_name !== claim.hostName) throw new LabError('run_not_found')
  if (claim.caller.hostName !== null && claim.caller.hostName !== run.host_name) throw new LabError('run_not_found')
  if (run.lease_token !== claim.token || (run.status !== 'assigned' && run.status !== 'running'))
    throw new LabError('stale_token')
  return run
}

/** Stores what an agent reports of a run: start, steps, log lines. Everything may arrive twice; nothing is stored twice. */
export async function recordProgress(
  tx: Transaction,
  input: { runId: string; caller: Caller; body: RunProgress },
): Promise<{ nextLine: number; cancel: boolean }> {
  const { body } = input
  let run = await lockOwnedRun(tx, { runId: input.runId, hostName: body.host_name, token: body.token, caller: input.caller })
  if (run.status === 'assigned' && (body.started || body.steps || body.log)) run = await startRun(tx, run)
  if (body.steps && body.steps.length > 0) await storeSteps(tx, run, body.steps)
  const nextLine = await storeLines(tx, run, body.log)
  return { nextLine, cancel: run.cancel_requested_at !== null }
}

export async function startRun(tx: Transaction, run: RunRow): Promise<RunRow> {
  const started = await firstRow(
    tx,
    sql<RunRow>`
      update runs set status = 'running', started_at = now(), updated_at = now(), dispatch_confirmed_at = coalesce(dispatch_confirmed_at, now())
       where id = ${run.id} and status = 'assigned'
      returning ${runColumns}`,
  )
  if (!started) return run
  emitRun(tx, 'run.running', started)
  return started
}

export async function storeSteps(tx: Transaction, run: RunRow, steps: readonly RunStep[]): Promise<void> {
  const rows = [...new Map(steps.map((step) => [step.position, step])).values()]
  await sql`
    insert into run_steps as s (run_id, position, kind, name, started_at, duration_ms, outcome, message, details, screenshot_artifact_id)
    select ${run.id}::uuid, position, kind, name, started_at, duration_ms, outcome, message, details, screenshot_artifact_id
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
           as n(position integer, kind text, name text, started_at timestamptz, duration_ms float8, outcome text, message text,
                details jsonb, screenshot_artifact_id uuid)
    on conflict (run_id, position) do update
       set kind = excluded.kind, name = excluded.name, started_at = excluded.started_at, duration_ms = excluded.duration_ms,
           outcome = excluded.outcome, message = excluded.message, details = excluded.details,
           screenshot_artifact_id = excluded.screenshot_artifact_id`.execute(tx.kysely)
  for (const step of rows) emitRun(tx, 'run.step', run, { step })
}

/** Appends lines from the first one that is missing; a gap is refused by answering which line comes next. */
async function storeLines(tx: Transaction, run: RunRow, log: RunProgress['log']): Promise<number> {
  const have = await firstRow(
    tx,
    sql<{ next: number }>`
      select coalesce(max(from_line + cardinality(lines)), 0)::int as next from run_log_chunks where run_id = ${run.id}`,
  )
  const next = have?.next ?? 0
  if (!log || log.from > next || log.from + log.lines.length <= next) return next
  const lines = log.lines.slice(next - log.from)
  await sql`insert into run_log_chunks (run_id, from_line, lines) values (${run.id}, ${next}, ${lines}::text[])`.execute(
    tx.kysely,
  )
  emitRun(tx, 'run.log', run, { from: next, lines })
  return next + lines.length
}
