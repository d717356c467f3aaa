import { type ExecutionResult, isFinalRun, type Run, type RunStep, type ScriptResult, taskStatus } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { z } from 'zod'
import { type Queryable, rowsOf } from '../../db/query.ts'
import { type RunRow, runColumns } from './run.store.ts'

export const artifactUrl = (runId: string, artifactId: string): string => `/server/runs/${runId}/artifacts/${artifactId}`

type RunRowWithPlace = RunRow & { queue_position: number | null }

/** Place in the line of its device, people included, counted as the assignment does. */
const withQueuePosition = sql`
  case when r.status = 'queued' then (
    select 1 + count(*)::int from device_line q
     where q.device_id = r.device_id
       and (q.priority > r.priority or (q.priority = r.priority and (q.since, q.id) < (r.queued_at, r.id)))
  ) end as queue_position`

/** What is a result; batches driven by hand are listed only when they are asked for. */
const recordedKinds = ['script', 'testcase', 'navigation', 'health_check']

export interface RunFilter {
  teamId: string
  id?: string | undefined
  statuses?: readonly string[] | undefined
  hostName?: string | undefined
  deviceKey?: string | undefined
  name?: string | undefined
  /** Default: all. `recorded` leaves out what people drive by hand. */
  kinds?: readonly string[] | 'recorded' | undefined
  before?: string | undefined
  success?: boolean | undefined
  limit: number
}

/** Runs of a team, newest first. */
export function listRuns(db: Queryable, filter: RunFilter): Promise<RunRowWithPlace[]> {
  const kinds = filter.kinds === 'recorded' ? recordedKinds : (filter.kinds ?? null)
  return rowsOf(
    db,
    sql<RunRowWithPlace>`
      with r as (
        select ${runColumns} from runs
         where team_id = ${filter.teamId}
           and (${filter.id ?? null}::uuid is null or id = ${filter.id ?? null})
           and (${filter.statuses ?? null}::text[] is null or status = any(${filter.statuses ?? null}::text[]))
           and (${filter.hostName ?? null}::text is null or host_name = ${filter.hostName ?? null})
           and (${filter.deviceKey ?? null}::text is null or device_key = ${filter.deviceKey ?? null})
           and (${filter.name ?? null}::text is null or name = ${filter.name ?? null})
           and (${kinds}::text[] is null or kind = any(${kinds}::text[]))
           and (${filter.before ?? null}::timestamptz is null or queued_at < ${filter.before ?? null})
           and (${filter.success ?? null}::boolean is null or (status = 'passed') = ${filter.success ?? null})
         order by queued_at desc, id limit ${filter.limit})
      select r.*, ${withQueuePosition} from r order by r.queued_at desc, r.id`,
  )
}

export function showRun(run: RunRow & { queue_position?: number | null }): Run {
  return {
    id: run.id,
    team_id: run.team_id,
    kind: run.kind as Run['kind'],
    name: run.name,
    parameters: run.parameters,
    host_name: run.host_name,
    device_id: run.device_key,
    device_name: run.device_name,
    device_model: run.device_model,
    status: run.status,
    success: isFinalRun(run.status) ? run.status === 'passed' : null,
    failure_class: run.failure_class,
    error_code: run.error_code,
    error_message: run.error_message,
    source: run.source,
    requested_by: run.requested_by,
    retry_of: run.retry_of,
    attempt: run.attempt,
    retries_left: run.retries_left,
    priority: run.priority,
    queue_position: run.queue_position ?? null,
    cancel_requested: run.cancel_requested_at !== null,
    queued_at: run.queued_at,
    assigned_at: run.assigned_at,
    started_at: run.started_at,
    finished_at: run.finished_at,
    deadline_at: run.deadline_at,
    duration_ms: durationMs(run),
    report_url: reportUrl(run),
    logs_url: logsUrl(run),
    checked: run.checked,
    discarded: run.discarded,
    metadata: run.metadata,
  }
}

export const durationMs = (run: Pick<RunRow, 'started_at' | 'finished_at'>): number | null =>
  run.started_at !== null && run.finished_at !== null ? Date.parse(run.finished_at) - Date.parse(run.started_at) : null

export const reportUrl = (run: RunRow): string | null =>
  run.report_url ?? (run.report_artifact_id === null ? null : `/server/runs/${run.id}/report`)
export const logsUrl = (run: RunRow): string | null =>
  run.logs_url ?? (run.log_artifact_id === null ? null : artifactUrl(run.id, run.log_artifact_id))

/** A run in the words of the original's task: a failed test is `completed`, `failed` means that it could not run. */
export function showTask(run: RunRow) {
  const status = taskStatus(run.status)
  const seconds = (time: string | null): number | null => (time === null ? null : Date.parse(time) / 1000)
  return {
    id: run.id,
    command: 'script_execute',
    params: { script_name: run.name, host_name: run.host_name, device_id: run.device_key, parameters: run.parameters },
    status,
    run_status: run.status,
    created_at: seconds(run.queued_at) ?? 0,
    completed_at: seconds(run.finished_at),
    result: isFinalRun(run.status)
      ? {
          stdout: '',
          stderr: '',
          exit_code: null,
          script_success: null,
          script_name: run.name,
          device_id: run.device_key,
          parameters: run.parameters,
          execution_time_ms: durationMs(run),
          ...run.result,
          success: run.status === 'passed',
          report_url: reportUrl(run),
          logs_url: logsUrl(run),
        }
      : null,
    error: status === 'failed' ? errorText(run) : null,
  }
}

/** Fields of the socket message `task_complete`. */
export function showTaskComplete(run: RunRow) {
  const { result, error } = showTask(run)
  return {
    success: run.status === 'passed',
    result,
    error,
    execution_time: durationMs(run),
    execution_logs: String(result?.stdout ?? ''),
  }
}

const errorText = (run: RunRow): string =>
  [run.error_code, run.error_message].filter(Boolean).join(': ') ||
  (run.status === 'cancelled' ? 'cancelled' : 'The run could not be executed.')

const userinterfaceName = (parameters: string): string | null =>
  /--userinterface(?:=|\s+)("([^"]*)"|'([^']*)'|(\S+))/.exec(parameters)?.slice(2).find(Boolean) ?? null

export function showScriptResult(run: RunRow): z.input<typeof ScriptResult> {
  return {
    id: run.id,
    team_id: run.team_id,
    script_name: run.name,
    script_type: run.kind,
    userinterface_name: userinterfaceName(run.parameters),
    host_name: run.host_name,
    device_name: run.device_name ?? run.device_key,
    success: run.status === 'passed',
    status: run.status,
    execution_time_ms: durationMs(run),
    started_at: run.started_at ?? run.queued_at,
    completed_at: run.finished_at,
    html_report_r2_path: null,
    html_report_r2_url: reportUrl(run),
    logs_r2_path: null,
    logs_r2_url: logsUrl(run),
    discard: run.discarded,
    discard_comment: run.discard_comment,
    checked: run.checked,
    check_type: run.check_type,
    error_msg: run.error_message,
    metadata: run.metadata,
    created_at: run.created_at,
    updated_at: run.updated_at,
  }
}

export function listSteps(db: Queryable, runId: string): Promise<RunStep[]> {
  return rowsOf(
    db,
    sql<RunStep>`
      select position, kind, name, started_at, duration_ms, outcome, message, details, screenshot_artifact_id
        from run_steps where run_id = ${runId} order by position`,
  )
}

interface ExecutionRow {
  run_id: string
  run_kind: string
  metadata: Record<string, unknown>
  team_id: string
  host_name: string
  device_name: string | null
  device_model: string | null
  position: number
  kind: string
  name: string
  started_at: string
  duration_ms: number | null
  outcome: string | null
  message: string | null
}

/** The newest recorded steps over all runs of a team. */
export async function listExecutionResults(db: Queryable, teamId: string): Promise<z.input<typeof ExecutionResult>[]> {
  const rows = await rowsOf(
    db,
    sql<ExecutionRow>`
      select s.run_id, r.run_kind, r.metadata, r.team_id, r.host_name, r.device_name, r.device_model, s.position, s.kind, s.name, s.started_at, s.duration_ms,
             s.outcome, s.message
        from (select id, kind as run_kind, metadata, team_id, host_name, device_name, device_model
                from runs where team_id = ${teamId} order by queued_at desc limit 200) r
        join run_steps s on s.run_id = r.id
       order by s.started_at desc limit 200`,
  )
  return rows.map((row) => ({
    id: `${row.run_id}:${row.position}`,
    team_id: row.team_id,
    tree_id: row.metadata.tree_id ?? null,
    edge_id: row.metadata.edge_id ?? null,
    node_id: row.metadata.node_id ?? null,
    action_set_id: row.metadata.action_set_id ?? null,
    execution_type: row.kind === 'verification' ? 'verification' : 'action',
    host_name: row.host_name,
    device_name: row.device_name,
    device_model: row.device_model,
    success: row.outcome === 'passed',
    execution_time_ms: row.duration_ms === null ? null : Math.round(row.duration_ms),
    message: row.message,
    error_details: null,
    executed_at: row.started_at,
    created_at: row.started_at,
    script_result_id: row.run_id,
    script_context: row.run_kind === 'batch' ? 'direct' : 'script',
    kpi_measurement_ms: null,
    kpi_measurement_success: null,
    kpi_measurement_error: null,
    kpi_report_url: null,
    tree_name: 'Unknown Tree',
    element_name: row.name,
    script_report_url: row.run_kind === 'batch' ? null : `/server/runs/${row.run_id}/report`,
  }))
}
