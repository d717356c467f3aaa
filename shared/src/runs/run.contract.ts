import { z } from 'zod'
import { DeviceId, HostName, TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'
import { Artifact, RunStep } from './run-agent.contract.ts'

export const RunStatusSchema = z.enum(['queued', 'assigned', 'running', 'passed', 'failed', 'error', 'cancelled'])

/** One attempt to execute something on a device. */
export const Run = z
  .object({
    id: z.uuid(),
    team_id: z.uuid(),
    kind: z.enum(['script', 'testcase', 'navigation', 'batch', 'health_check']),
    name: z.string().describe('script name'),
    parameters: z.string(),
    host_name: z.string(),
    device_id: z.string(),
    device_name: z.string().nullable(),
    device_model: z.string().nullable(),
    status: RunStatusSchema,
    success: z.boolean().nullable().describe('true passed, false failed, error or cancelled, null while open'),
    failure_class: z.enum(['product', 'test', 'device', 'infrastructure', 'unknown']).nullable(),
    error_code: z.string().nullable(),
    error_message: z.string().nullable(),
    source: z.enum(['manual', 'campaign', 'schedule', 'api', 'health']),
    requested_by: z.string().nullable(),
    retry_of: z.uuid().nullable(),
    attempt: z.int(),
    retries_left: z.int(),
    priority: z.int(),
    queue_position: z.int().nullable().describe('1 = next on its device; null when not queued'),
    cancel_requested: z.boolean(),
    queued_at: Timestamp,
    assigned_at: Timestamp.nullable(),
    started_at: Timestamp.nullable(),
    finished_at: Timestamp.nullable(),
    deadline_at: Timestamp,
    duration_ms: z.number().nullable(),
    report_url: z.string().nullable(),
    logs_url: z.string().nullable(),
    checked: z.boolean(),
    discarded: z.boolean(),
    metadata: z.looseObject({}),
  })
  .meta({ id: 'Run' })
export type Run = z.infer<typeof Run>

const success = z.literal(true)
const runParams = z.object({ run_id: z.uuid() })
const page = { limit: z.coerce.number().int().min(1).max(500).default(100), before: z.iso.datetime({ offset: true }).optional() }

/** The old name of a result row; `id` is the id of the run and of its task. */
export const ScriptResult = z
  .looseObject({
    id: z.uuid(),
    team_id: z.uuid(),
    script_name: z.string(),
    script_type: z.string(),
    userinterface_name: z.string().nullable(),
    host_name: z.string(),
    device_name: z.string().nullable(),
    success: z.boolean(),
    status: RunStatusSchema,
    execution_time_ms: z.number().nullable(),
    started_at: Timestamp,
    completed_at: Timestamp.nullable(),
    html_report_r2_path: z.string().nullable(),
    html_report_r2_url: z.string().nullable(),
    logs_r2_path: z.string().nullable(),
    logs_r2_url: z.string().nullable(),
    discard: z.boolean(),
    discard_comment: z.string().nullable(),
    checked: z.boolean(),
    check_type: z.string().nullable(),
    error_msg: z.string().nullable(),
    metadata: z.looseObject({}),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .meta({ id: 'ScriptResult' })

/** One recorded step in the shape of the original's execution results. */
export const ExecutionResult = z
  .looseObject({
    id: z.string(),
    team_id: z.uuid(),
    execution_type: z.string(),
    host_name: z.string(),
    device_name: z.string().nullable(),
    device_model: z.string().nullable(),
    success: z.boolean(),
    execution_time_ms: z.number().nullable(),
    message: z.string().nullable(),
    executed_at: Timestamp,
    script_result_id: z.uuid(),
    tree_name: z.string(),
    element_name: z.string().optional(),
  })
  .meta({ id: 'ExecutionResult' })

const checkType = z.string().max(50).default('manual')
const statusSuccess = z.object({ status: z.literal('success') })

export const runRoutes = defineRoutes({
  execute: {
    method: 'POST',
    path: '/server/script/execute',
    access: 'tester',
    summary: 'Start a script on a device. The answer names the run; header Idempotency-Key makes a repeated submit safe',
    query: TeamQuery,
    body: z.object({
      host_name: HostName,
      device_id: DeviceId,
      script_name: z.string().min(1).max(300),
      parameters: z.string().max(20_000).nullish(),
      session_id: z.string().max(200).nullish(),
      user_id: z.string().max(200).nullish(),
      token: z.int().min(1).optional().describe('token of the lease this call relies on; 409 stale_token when it has ended'),
      queue: z.boolean().default(false).describe('wait for a busy device instead of 423'),
      queue_timeout_seconds: z
        .int()
        .min(1)
        .max(7 * 86_400)
        .default(3600),
      timeout_seconds: z.int().min(1).max(86_400).default(3600),
      retries: z.int().min(0).max(5).default(0).describe('new attempts after an end by infrastructure, such as host_lost'),
      priority: z.int().min(0).max(100).default(50),
    }),
    answers: {
      202: z.object({
        success,
        task_id: z.uuid(),
        run_id: z.uuid(),
        status: z.literal('started'),
        run_status: RunStatusSchema,
        message: z.string(),
      }),
    },
    failures: [400, 404, 409, 423, 429, 503],
  },
  status: {
    method: 'GET',
    path: '/server/script/status/{task_id}',
    access: 'viewer',
    summary: 'State of a run in the words of the original task status',
    params: z.object({ task_id: z.string().max(100) }),
    query: TeamQuery,
    answers: {
      200: z.object({
        success,
        task: z.looseObject({
          id: z.string(),
          command: z.string(),
          params: z.looseObject({}),
          status: z.enum(['started', 'completed', 'failed']),
          run_status: RunStatusSchema,
          created_at: z.number(),
          completed_at: z.number().nullable(),
          result: z.looseObject({ success: z.boolean() }).nullable(),
          error: z.string().nullable(),
        }),
      }),
    },
    failures: [404],
  },
  list: {
    method: 'GET',
    path: '/server/runs',
    access: 'viewer',
    summary: 'Runs of the team, newest first',
    query: TeamQuery.extend({
      ...page,
      status: z.string().max(200).optional().describe('comma list of states; `open` = queued, assigned, running'),
      host_name: z.string().optional(),
      device_id: z.string().optional(),
      name: z.string().optional(),
      kind: z
        .enum(['script', 'testcase', 'navigation', 'batch', 'health_check', 'all'])
        .optional()
        .describe('default: all kinds but batch, the work that people drive by hand'),
    }),
    answers: { 200: z.object({ success, runs: z.array(Run), next_before: Timestamp.nullable() }) },
  },
  read: {
    method: 'GET',
    path: '/server/runs/{run_id}',
    access: 'viewer',
    summary: 'One run with its steps and artifacts',
    params: runParams,
    query: TeamQuery,
    answers: { 200: z.object({ success, run: Run, steps: z.array(RunStep), artifacts: z.array(Artifact) }) },
    failures: [404],
  },
  log: {
    method: 'GET',
    path: '/server/runs/{run_id}/log',
    access: 'viewer',
    summary: 'Log lines from index `after` on, also while the run goes on',
    params: runParams,
    query: TeamQuery.extend({
      after: z.coerce.number().int().min(0).default(0).describe('index of the first line wanted'),
      limit: z.coerce.number().int().min(1).max(10_000).default(2000),
    }),
    answers: {
      200: z.object({
        success,
        lines: z.array(z.string()),
        from: z.int(),
        next_after: z.int().describe('ask with this value next'),
        complete: z.boolean().describe('true when the run has ended and no line follows'),
      }),
    },
    failures: [404],
  },
  artifact: {
    method: 'GET',
    path: '/server/runs/{run_id}/artifacts/{artifact_id}',
    access: 'viewer',
    byCookie: true,
    summary: 'Content of an artifact',
    params: runParams.extend({ artifact_id: z.uuid() }),
    query: TeamQuery,
    answers: { 200: null },
    produces: 'application/octet-stream',
    failures: [404, 503],
  },
  report: {
    method: 'GET',
    path: '/server/runs/{run_id}/report',
    access: 'viewer',
    byCookie: true,
    summary: 'The self-contained HTML report of an ended run',
    params: runParams,
    query: TeamQuery,
    answers: { 200: null },
    produces: 'text/html',
    failures: [404, 409],
  },
  cancel: {
    method: 'POST',
    path: '/server/runs/{run_id}/cancel',
    access: 'tester',
    summary: 'Cancel a queued or running run',
    params: runParams,
    query: TeamQuery,
    body: z.object({ reason: z.string().max(500).nullish() }).nullish(),
    answers: { 200: z.object({ success, run: Run }) },
    failures: [404, 409],
  },
  retry: {
    method: 'POST',
    path: '/server/runs/{run_id}/retry',
    access: 'tester',
    summary: 'Start an ended run again, as a new run that waits for the device',
    params: runParams,
    query: TeamQuery,
    answers: { 201: z.object({ success, run: Run }) },
    failures: [404, 409],
  },
  scriptResults: {
    method: 'GET',
    path: '/server/script-results/getAllScriptResults',
    access: 'viewer',
    summary: 'Script results, newest first, as a bare array',
    query: TeamQuery.extend({
      limit: page.limit,
      before: page.before,
      script_name: z.string().optional(),
      host_name: z.string().optional(),
      success: z.enum(['true', 'false']).optional(),
    }),
    answers: { 200: z.array(ScriptResult) },
  },
  check: {
    method: 'PUT',
    path: '/server/script-results/updateCheckedStatus/{run_id}',
    access: 'tester',
    summary: 'Mark a result as looked at',
    params: runParams,
    query: TeamQuery,
    body: z.object({ checked: z.boolean(), check_type: checkType }),
    answers: { 200: statusSuccess },
    failures: [400, 404],
  },
  discard: {
    method: 'PUT',
    path: '/server/script-results/updateDiscardStatus/{run_id}',
    access: 'tester',
    summary: 'Leave a result out of the statistics, or take it back in',
    params: runParams,
    query: TeamQuery,
    body: z.object({ discard: z.boolean(), discard_comment: z.string().max(5000).nullish(), check_type: checkType }),
    answers: { 200: statusSuccess },
    failures: [400, 404],
  },
  executionResults: {
    method: 'GET',
    path: '/server/execution-results/getAllExecutionResults',
    access: 'viewer',
    summary: 'Recorded steps, newest first, 200, as a bare array',
    query: TeamQuery,
    answers: { 200: z.array(ExecutionResult) },
  },
})
