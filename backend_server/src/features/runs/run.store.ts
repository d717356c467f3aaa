import { type EventType, type RunErrorCode, type RunOrder, type RunStatus, rooms, runMoves } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable } from '../../db/query.ts'

/*
 * A run is one attempt to execute something on a device. States: shared/src/runs/run.states.ts.
 * Promises kept in this folder:
 * - a run, its lease and its event change in one transaction;
 * - each attempt gets exactly one final state: every move names the states it may start from, and writes of a host name the
 *   token of the lease it was given;
 * - no run stays open for ever: waiting has a deadline, executing has a deadline, and on our agents each beat renews
 *   `alive_until`, which ends the run when the beats stop.
 */
export interface RunRow {
  id: string
  team_id: string
  kind: string
  name: string
  parameters: string
  host_id: string | null
  device_id: string | null
  host_name: string
  device_key: string
  device_name: string | null
  device_model: string | null
  status: RunStatus
  failure_class: 'product' | 'test' | 'device' | 'infrastructure' | 'unknown' | null
  error_code: string | null
  error_message: string | null
  source: 'manual' | 'campaign' | 'schedule' | 'api' | 'health'
  requested_by: string | null
  retry_of: string | null
  attempt: number
  retries_left: number
  priority: number
  queued_at: string
  assigned_at: string | null
  started_at: string | null
  finished_at: string | null
  deadline_at: string
  timeout_seconds: number
  lease_id: string | null
  lease_token: number | null
  alive_until: string | null
  dispatched_at: string | null
  dispatch_confirmed_at: string | null
  cancel_requested_at: string | null
  cancel_reason: string | null
  result: Record<string, unknown> | null
  report_artifact_id: string | null
  log_artifact_id: string | null
  report_url: string | null
  logs_url: string | null
  checked: boolean
  check_type: string | null
  discarded: boolean
  discard_comment: string | null
  metadata: Record<string, unknown>
  created_at: string
  updated_at: string
}

export const runColumns = sql`
  id, team_id, kind, name, parameters, host_id, device_id, host_name, device_key, device_name, device_model, status,
  failure_class, error_code, error_message, source, requested_by, retry_of, attempt, retries_left, priority, queued_at,
  assigned_at, started_at, finished_at, deadline_at, timeout_seconds, lease_id, lease_token, alive_until, dispatched_at,
  dispatch_confirmed_at, cancel_requested_at, cancel_reason, result, report_artifact_id, log_artifact_id, report_url, logs_url,
  checked, check_type, discarded, discard_comment, metadata, created_at, updated_at`

export interface RunFailure {
  code: RunErrorCode
  message: string
}

/** A run of this team, or of any team where the caller is a host or a job. */
export function findRun(db: Queryable, id: string, teamId?: string): Promise<RunRow | undefined> {
  return firstRow(
    db,
    sql<RunRow>`select ${runColumns} from runs where id = ${id} and (${teamId ?? null}::uuid is null or team_id = ${teamId ?? null})`,
  )
}

/** The run with its row locked: whoever moves a run first decides. */
export function lockRun(tx: Transaction, id: string): Promise<RunRow | undefined> {
  return firstRow(tx, sql<RunRow>`select ${runColumns} from runs where id = ${id} for update`)
}

/** States from which `to` is a legal next state. */
export const statesBefore = (to: RunStatus): RunStatus[] =>
  (Object.keys(runMoves) as RunStatus[]).filter((from) => (runMoves[from] as readonly RunStatus[]).includes(to))

export const runOrder = (run: RunRow): RunOrder => ({
  task_id: run.id,
  run_id: run.id,
  host_name: run.host_name,
  device_id: run.device_key,
  script_name: run.name,
  parameters: run.parameters,
  team_id: run.team_id,
  token: run.lease_token ?? 0,
  deadline_at: run.deadline_at,
})

export function emitRun(tx: Transaction, type: EventType, run: RunRow, data: Record<string, unknown> = {}): void {
  tx.emit({
    teamId: run.team_id,
    type,
    subjectKind: 'run',
    subjectId: run.id,
    rooms: [rooms.team(run.team_id), rooms.host(run.host_name), rooms.device(run.host_name, run.device_key), rooms.run(run.id)],
    data: {
      status: run.status,
      kind: run.kind,
      name: run.name,
      host_name: run.host_name,
      device_id: run.device_key,
      attempt: run.attempt,
      ...data,
    },
  })
}
