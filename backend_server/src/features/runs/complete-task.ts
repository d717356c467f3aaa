import { LabError, type ScriptOutcome, type TaskComplete } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Database, inTransaction, type Transaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'
import { finishRun, type RunEnd } from './finish-run.ts'
import { lockRun, type RunRow } from './run.store.ts'

/** Kept of a script's output in the row; the complete log is an artifact. */
const longestOutput = 64 * 1024
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export interface TaskEnd {
  accepted: boolean
  run?: RunRow
}

/**
 * The callback at the end of a script. Hosts of the original send no token and repeat nothing, so an unknown or ended task is
 * answered with success and its late result kept as evidence; our agents send their token, and an old one is refused.
 */
export async function completeTask(db: Database, caller: Caller, body: TaskComplete): Promise<TaskEnd> {
  if (!uuid.test(body.task_id)) return { accepted: false }
  return inTransaction(db, async (tx) => {
    const run = await lockRun(tx, body.task_id)
    if (!run) {
      if (body.token) throw new LabError('run_not_found')
      return { accepted: false }
    }
    if (caller.hostName !== null && caller.hostName !== run.host_name) throw new LabError('run_not_found')
    const token = body.token ?? undefined
    if (token !== undefined && (run.lease_token !== token || run.host_name !== body.host_name)) throw new LabError('stale_token')
    if (token === undefined && (await isOnAgent(tx, run)))
      throw new LabError('stale_token', { text: 'The result of an agent must carry the token of its lease.' })
    // Never given to a host: there is nothing that could have ended.
    if (run.status === 'queued') return { accepted: false }
    const result = withoutNul(body.result ?? {})
    await keepOutput(tx, run, result)
    const ended = await finishRun(tx, run.id, { ...verdict(run, result, body.error), token })
    if (ended) return { accepted: true, run: ended }
    if (token !== undefined && sameEnd(run, result)) return { accepted: true, run }
    if (token !== undefined) throw new LabError('stale_token')
    const late = { result: trimmed(result), error: body.error ?? null, at: new Date().toISOString() }
    await sql`update runs set metadata = metadata || ${JSON.stringify({ late_result: late })}::jsonb where id = ${run.id}`.execute(
      tx.kysely,
    )
    return { accepted: false, run }
  })
}

/** Leaving the token out must not be a way around it: only hosts of the original have none. */
async function isOnAgent(tx: Transaction, run: RunRow): Promise<boolean> {
  return (await firstRow(tx, sql`select 1 from hosts where id = ${run.host_id} and agent is not null`)) !== undefined
}

/** The agent repeats a result until it is acknowledged; the repetition of an accepted one is acknowledged again. */
const sameEnd = (run: RunRow, result: ScriptOutcome): boolean => run.result !== null && run.status === result.outcome

function verdict(run: RunRow, result: ScriptOutcome, error: string | null | undefined): RunEnd {
  const stored = {
    ...trimmed(result),
    success: result.script_success ?? (result.outcome ? result.outcome === 'passed' : result.exit_code === 0),
  }
  const links = { reportUrl: result.report_url, logsUrl: result.logs_url }
  if (
    result.outcome === 'cancelled' ||
    (run.cancel_requested_at !== null && result.outcome !== 'passed' && result.outcome !== 'failed')
  ) {
    return {
      status: 'cancelled',
      errorMessage: run.cancel_reason ?? 'cancelled',
      result: { ...stored, success: false },
      ...links,
    }
  }
  if (result.outcome === 'error' || error) {
    const code = result.error_code ?? 'host_error'
    return {
      status: 'error',
      failureClass:
        code === 'deadline' || code === 'script_start_failed' || code === 'script_not_found' ? 'test' : 'infrastructure',
      errorCode: code,
      errorMessage: result.error_message ?? error ?? 'The host could not run the script.',
      result: { ...stored, success: false },
      ...links,
    }
  }
  if (stored.success) return { status: 'passed', result: stored, ...links }
  return {
    status: 'failed',
    failureClass: 'unknown',
    errorMessage: result.error_message ?? lastLine(result.stdout) ?? 'The script reported a failure.',
    result: stored,
    ...links,
  }
}

/** PostgreSQL stores no NUL characters; a script that prints one must not cost the run its result. */
export function withoutNul<T>(value: T): T {
  if (typeof value === 'string') return value.replaceAll('\0', '\uFFFD') as T
  if (Array.isArray(value)) return value.map(withoutNul) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutNul(one)])) as T
}

const trimmed = (result: ScriptOutcome): Record<string, unknown> => ({
  ...result,
  stdout: result.stdout?.slice(-longestOutput) ?? '',
  stderr: result.stderr?.slice(-longestOutput) ?? '',
})

function lastLine(output: string | null | undefined): string | undefined {
  const lines = (output ?? '')
    .trimEnd()
    .split('\n')
    .filter((line) => line.trim() && !line.startsWith('SCRIPT_'))
  return lines.at(-1)?.slice(0, 500)
}

/** An original host sends its whole output at the end and nothing before; it becomes the run's log. */
async function keepOutput(tx: Parameters<typeof lockRun>[0], run: RunRow, result: ScriptOutcome): Promise<void> {
  if (!result.stdout || run.status === 'passed' || run.status === 'failed') return
  await sql`
    insert into run_log_chunks (run_id, from_line, lines)
    select ${run.id}::uuid, 0, ${result.stdout.replace(/\n$/, '').split('\n')}::text[]
     where not exists (select 1 from run_log_chunks where run_id = ${run.id}::uuid)`.execute(tx.kysely)
}
