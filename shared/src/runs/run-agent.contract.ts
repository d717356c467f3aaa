import { z } from 'zod'
import { DeviceId, HostName } from '../ids.ts'
import { defineRoutes } from '../route.ts'

/** What the server sends to an agent to start a run (`POST /host/script/execute`), and repeats in the beat while the agent does not know it. */
export const RunOrder = z
  .object({
    task_id: z.uuid(),
    run_id: z.uuid(),
    host_name: z.string(),
    device_id: z.string(),
    script_name: z.string(),
    parameters: z.string(),
    team_id: z.uuid(),
    token: z.int().min(1),
    deadline_at: z.string(),
  })
  .meta({ id: 'RunOrder' })
export type RunOrder = z.infer<typeof RunOrder>

export const StepOutcome = z.enum(['passed', 'failed', 'error', 'skipped'])
export type StepOutcome = z.infer<typeof StepOutcome>

/** One step of a run. `outcome` is null while it runs. */
export const RunStep = z
  .object({
    position: z.int().min(1).max(100_000),
    kind: z.enum(['action', 'verification', 'block']).default('block'),
    name: z.string().max(500),
    started_at: z.iso.datetime({ offset: true }),
    duration_ms: z.number().min(0).nullish(),
    outcome: StepOutcome.nullish(),
    message: z.string().max(10_000).nullish(),
    details: z.looseObject({}).nullish(),
    screenshot_artifact_id: z.uuid().nullish(),
  })
  .meta({ id: 'RunStep' })
export type RunStep = z.infer<typeof RunStep>

export const RunProgress = z.object({
  host_name: HostName,
  token: z.int().min(1),
  started: z.boolean().optional(),
  steps: z.array(RunStep).max(1000).optional(),
  log: z
    .object({ from: z.int().min(0).describe('index of the first line'), lines: z.array(z.string().max(9000)).min(1).max(1000) })
    .optional(),
})
export type RunProgress = z.infer<typeof RunProgress>

/** Result of a script as hosts send it; fields after `script_success` are sent by our own agent only. */
export const ScriptOutcome = z.looseObject({
  stdout: z.string().nullish(),
  stderr: z.string().nullish(),
  exit_code: z.number().nullish(),
  script_name: z.string().nullish(),
  device_id: DeviceId.nullish(),
  script_path: z.string().nullish(),
  parameters: z.string().nullish(),
  execution_time_ms: z.number().nullish(),
  report_url: z.string().nullish(),
  logs_url: z.string().nullish(),
  script_success: z.boolean().nullish(),
  outcome: z.enum(['passed', 'failed', 'error', 'cancelled']).nullish(),
  error_code: z.string().max(100).nullish(),
  error_message: z.string().max(10_000).nullish(),
  total_lines: z.int().min(0).nullish(),
})
export type ScriptOutcome = z.infer<typeof ScriptOutcome>

export const TaskComplete = z.object({
  task_id: z.string().min(1).max(100),
  host_name: HostName.nullish(),
  token: z.int().min(1).nullish(),
  result: ScriptOutcome.nullish(),
  error: z.string().nullish(),
})
export type TaskComplete = z.infer<typeof TaskComplete>

export const Artifact = z
  .object({
    id: z.uuid(),
    run_id: z.uuid().nullable(),
    kind: z.enum(['screenshot', 'file', 'log', 'report', 'video']),
    name: z.string(),
    content_type: z.string(),
    size_bytes: z.number().nullable(),
    status: z.enum(['pending', 'stored', 'upload_failed', 'deleted']),
    url: z.string(),
    created_at: z.string(),
  })
  .meta({ id: 'Artifact' })
export type Artifact = z.infer<typeof Artifact>

const largeBody = 64 * 1024 * 1024
const runParams = z.object({ run_id: z.uuid() })

export const runAgentRoutes = defineRoutes({
  progress: {
    method: 'POST',
    path: '/server/runs/{run_id}/progress',
    access: 'host',
    summary: 'Our agent reports start, steps and log lines of a run; safe to repeat',
    params: runParams,
    body: RunProgress,
    answers: {
      200: z.object({
        success: z.literal(true),
        next_line: z.int().describe('index of the first log line the server does not have'),
        cancel: z.boolean(),
      }),
    },
    failures: [400, 401, 404, 409],
  },
  putArtifact: {
    method: 'PUT',
    path: '/server/runs/{run_id}/artifacts/{artifact_id}',
    access: 'host',
    summary: 'Our agent stores a screenshot or file of a run; raw body, safe to repeat; headers X-Lease-Token and X-Host-Name',
    params: runParams.extend({ artifact_id: z.uuid() }),
    query: z.object({ kind: z.enum(['screenshot', 'file']).default('file'), name: z.string().min(1).max(200) }),
    answers: {
      201: z.object({ success: z.literal(true), artifact: Artifact }),
      200: z.object({ success: z.literal(true), artifact: Artifact }),
    },
    bodyLimit: largeBody,
    failures: [400, 401, 404, 409, 413, 503],
  },
  taskComplete: {
    method: 'POST',
    path: '/server/script/taskComplete',
    access: 'host',
    summary: 'A host reports the end of a script; accepted once, later ones are kept as evidence',
    body: TaskComplete,
    answers: { 200: z.object({ success: z.literal(true), message: z.string() }) },
    bodyLimit: largeBody,
    failures: [400, 401, 409],
  },
})
