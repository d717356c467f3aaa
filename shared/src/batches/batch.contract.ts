import { z } from 'zod'
import { DeviceTarget, DeviceTargetQuery, deviceCallFailures, hostAnswer } from '../device-calls/index.ts'
import { HostName } from '../ids.ts'
import { ImageSource } from '../references/index.ts'
import { defineRoutes } from '../route.ts'

/** One command of a batch; the host knows the parameters. */
export const Action = z
  .looseObject({ command: z.string().max(200), params: z.looseObject({}).nullish(), action_type: z.string().max(50).nullish() })
  .meta({ id: 'Action' })
export type Action = z.infer<typeof Action>

export const Verification = z
  .looseObject({
    command: z.string().max(200),
    verification_type: z.string().max(50).nullish(),
    params: z.looseObject({}).nullish(),
    userinterface_name: z.string().max(200).nullish(),
    verification_pass_condition: z.enum(['all', 'any']).nullish(),
  })
  .meta({ id: 'Verification' })
export type Verification = z.infer<typeof Verification>

/** A check that presses a key before it looks is no mere look: it needs the device for itself, like the key alone. */
export const pressesKey = ({ command, params }: Pick<Verification, 'command' | 'params'>): boolean =>
  command === 'DetectZapping' && params?.key != null && params.key !== ''

/** What a check looks at. Checks of the kind web go to the browser of the host. */
export const verificationKinds = ['image', 'text', 'audio', 'video', 'adb', 'appium', 'web'] as const

const success = z.literal(true)
const actions = z.array(Action).max(500)
const treeFields = {
  tree_id: z.string().max(200).nullish(),
  edge_id: z.string().max(200).nullish(),
  node_id: z.string().max(200).nullish(),
  action_set_id: z.string().max(200).nullish(),
  target_node_id: z.string().max(200).nullish(),
  skip_db_recording: z.boolean().nullish(),
}
const actionFields = {
  retry_actions: actions.nullish(),
  failure_actions: actions.nullish(),
  ...treeFields,
}

/** The host has begun; ask the status route with this id. It is the id of the run that records the work. */
export const ExecutionStart = z
  .object({ success, execution_id: z.uuid(), run_id: z.uuid(), message: z.string() })
  .meta({ id: 'ExecutionStart' })

/**
 * The words are those of hosts: `completed` says that the work ended, `result.success` whether it succeeded; a failed
 * verification is `error` with a `result`. `outcome` says it once more, as the state of the run.
 */
export const ExecutionStatus = z
  .looseObject({
    success,
    execution_id: z.uuid(),
    status: z.enum(['running', 'completed', 'error']),
    result: z.looseObject({}).nullable(),
    error: z.string().nullable(),
    progress: z.number(),
    message: z.string(),
    elapsed_time_ms: z.number(),
    outcome: z.enum(['running', 'passed', 'failed', 'error', 'cancelled']),
  })
  .meta({ id: 'ExecutionStatus' })
export type ExecutionStatus = z.infer<typeof ExecutionStatus>

const start = <F extends z.ZodRawShape>(path: string, summary: string, fields: F) =>
  ({
    method: 'POST',
    path,
    access: 'tester',
    summary,
    query: DeviceTargetQuery,
    body: DeviceTarget.extend(fields),
    answers: { 200: ExecutionStart },
    failures: deviceCallFailures,
  }) as const

const status = (path: string, summary: string) =>
  ({
    method: 'GET',
    path,
    access: 'viewer',
    summary,
    params: z.object({ execution_id: z.string().max(100) }),
    query: DeviceTargetQuery,
    answers: { 200: ExecutionStatus },
    failures: [400, 404],
  }) as const

export const actionRoutes = defineRoutes({
  executeBatch: start('/server/action/executeBatch', 'Send actions to a device, one after another, in the background', {
    actions: actions.min(1),
    ...actionFields,
  }),
  execute: start('/server/action/execute', 'Send one action to a device, in the background', { action: Action, ...actionFields }),
  status: status('/server/action/execution/{execution_id}/status', 'How far a batch of actions is, and its result'),
})

export const verificationRoutes = defineRoutes({
  executeBatch: start('/server/verification/executeBatch', 'Check what a device shows, in the background', {
    verifications: z.array(Verification).min(1).max(500),
    image_source_url: ImageSource.nullish(),
    ...treeFields,
  }),
  executeOne: {
    method: 'POST',
    path: '/server/verification/{kind}/execute',
    access: 'tester',
    summary: 'Make one check and wait for its verdict; a check that failed is 200 with success false',
    params: z.object({ kind: z.enum(verificationKinds) }),
    query: DeviceTargetQuery,
    body: DeviceTarget.extend({
      verification: Verification,
      image_source_url: ImageSource.nullish(),
      userinterface_name: z.string().max(200).nullish(),
    }),
    answers: {
      200: hostAnswer({
        message: z.string().nullish(),
        resultType: z.string().nullish(),
        sourceUrl: z.string().nullish(),
        referenceUrl: z.string().nullish(),
        overlayUrl: z.string().nullish(),
        run_id: z.uuid(),
        evidence: z.record(z.string(), z.string()).optional(),
      }),
    },
    failures: deviceCallFailures,
  },
  status: status('/server/verification/execution/{execution_id}/status', 'How far a batch of verifications is, and its result'),
})

export const builderRoutes = defineRoutes({
  execute: start('/server/builder/execute', 'Run one standard block on a host, in the background', {
    command: z.string().min(1).max(200),
    params: z.looseObject({}).nullish(),
  }),
  status: status('/server/builder/execution/{execution_id}/status', 'How far a block is, and its result'),
  blocks: {
    method: 'GET',
    path: '/server/builder/blocks',
    access: 'viewer',
    summary: 'The standard blocks that a host can run',
    query: DeviceTargetQuery.extend({ host_name: HostName.optional() }),
    answers: { 200: z.looseObject({ success: z.boolean(), blocks: z.array(z.looseObject({ command: z.string() })).optional() }) },
    failures: deviceCallFailures,
  },
})
