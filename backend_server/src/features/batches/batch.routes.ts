import {
  type Action,
  actionRoutes,
  builderRoutes,
  type DeviceTarget,
  type ExecutionStatus,
  type HostReferences,
  LabError,
  pressesKey,
  type Verification,
  verificationRoutes,
} from '@virtualpytest/shared'
import type { FastifyRequest } from 'fastify'
import type { Caller } from '../../http/caller.ts'
import type { Mount } from '../../http/mount.ts'
import { admitCall, asHostAddress, assertOwnImage, callDevice, readTarget, touchIfHolder } from '../device-calls/index.ts'
import type { RunRow } from '../runs/index.ts'
import { type BatchRow, findExecution } from './batch.store.ts'
import type { EndedCheck } from './keep-check.ts'
import { mountSingleCheckRoutes } from './single-check.routes.ts'
import { type BatchOptions, labelOf, startBatch } from './start-batch.ts'

/** Also for the routes of single checks. */
export interface BatchRouteOptions extends BatchOptions {
  /** Records a check that has been decided, with its pictures. */
  keepCheck: (check: EndedCheck) => Promise<Record<string, unknown>>
  /** The stored references that these checks name, for hosts that have no copy of their own. */
  referencesFor: (teamId: string, verifications: readonly Verification[]) => Promise<HostReferences>
}

type Target = { query: { host_name?: string; device_id?: string }; caller: Caller; request: FastifyRequest }
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export function mountBatchRoutes(mount: Mount, options: BatchRouteOptions): void {
  const { db } = options

  mountSingleCheckRoutes(mount, options)
  mount(actionRoutes.executeBatch, ({ body, query, caller, request }) => startActions(body, { query, caller, request }))
  mount(actionRoutes.execute, ({ body, query, caller, request }) => {
    const { action, ...rest } = body
    return startActions({ ...rest, actions: [action] }, { query, caller, request })
  })

  type ActionBody = DeviceTarget &
    Record<string, unknown> & { retry_actions?: Action[] | null; failure_actions?: Action[] | null }

  async function startActions(body: ActionBody & { actions: Action[] }, { query, caller, request }: Target) {
    const target = await readTarget(db, caller, { body, query })
    const lists = { main: body.actions, retry: body.retry_actions ?? [], failure: body.failure_actions ?? [] }
    const labels = Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list.map(labelOf)]))
    await admitCall(options, {
      caller,
      identity: body,
      target,
      effect: 'changes',
      commands: Object.values(lists).flatMap((list) => list.map((one) => one.command)),
      audit: { action: 'action.executeBatch', details: labels },
      request,
    })
    const { tree_id, edge_id, action_set_id, target_node_id, skip_db_recording } = body
    const place = given({ tree_id, edge_id, action_set_id, target_node_id })
    const run = await startBatch(options, {
      kind: 'action',
      effect: 'changes',
      caller,
      identity: body,
      target,
      labels,
      metadata: { batch: 'action', ...place },
      path: '/host/action/executeBatch',
      body: {
        actions: lists.main,
        retry_actions: lists.retry,
        failure_actions: lists.failure,
        ...place,
        ...given({ skip_db_recording }),
      },
    })
    return started(run, 'Action execution started')
  }

  mount(verificationRoutes.executeBatch, async ({ body, query, caller, request }) => {
    if (!body.verifications[0]?.userinterface_name)
      throw new LabError('validation_error', { text: 'verifications.0.userinterface_name is required.' })
    const target = await readTarget(db, caller, { body, query })
    const image = body.image_source_url ?? undefined
    if (image !== undefined) assertOwnImage(image, target.host)
    const labels = { main: body.verifications.map(labelOf) }
    const effect = body.verifications.some(pressesKey) ? 'changes' : 'reads'
    await admitCall(options, {
      caller,
      identity: body,
      target,
      effect,
      commands: body.verifications.map((one) => one.command),
      audit: { action: 'verification.executeBatch', details: labels },
      request,
    })
    const { tree_id, node_id } = body
    const references = target.host.agent === null ? {} : await options.referencesFor(caller.teamId, body.verifications)
    const run = await startBatch(options, {
      kind: 'verification',
      effect,
      caller,
      identity: body,
      target,
      labels,
      metadata: {
        batch: 'verification',
        userinterface_name: body.verifications[0].userinterface_name,
        ...given({ tree_id, node_id }),
      },
      path: '/host/verification/executeBatch',
      body: {
        verifications: body.verifications,
        ...(image !== undefined && { image_source_url: asHostAddress(image, target.host) }),
        ...given({ tree_id, node_id }),
        ...(Object.keys(references).length > 0 && { references }),
      },
    })
    return started(run, 'Verification execution started')
  })

  mount(builderRoutes.execute, async ({ body, query, caller, request }) => {
    const target = await readTarget(db, caller, { body, query })
    const labels = { main: [body.command] }
    await admitCall(options, {
      caller,
      identity: body,
      target,
      effect: 'changes',
      commands: [body.command],
      audit: { action: 'builder.execute', details: labels },
      request,
    })
    const run = await startBatch(options, {
      kind: 'builder',
      effect: 'changes',
      caller,
      identity: body,
      target,
      labels,
      metadata: { batch: 'builder' },
      path: '/host/builder/execute',
      body: { command: body.command, params: body.params ?? {} },
    })
    return started(run, 'Block execution started')
  })

  mount(builderRoutes.blocks, async ({ query, caller, request }) => {
    const target = await readTarget(db, caller, { query })
    const call = { caller, identity: {}, target, effect: 'reads' as const, commands: [], request }
    await admitCall(options, { ...call, audit: { action: 'builder.blocks', details: {} } })
    const answer = await callDevice(options, target, { method: 'GET', path: '/host/builder/blocks', timeoutMs: 60_000 })
    return answer.body as { success: boolean }
  })

  for (const route of [actionRoutes.status, verificationRoutes.status, builderRoutes.status]) {
    mount(route, ({ params, caller }) => readStatus(params.execution_id, caller))
  }

  async function readStatus(id: string, caller: Caller): Promise<ExecutionStatus> {
    const found = uuid.test(id) ? await findExecution(db, id, caller.teamId) : undefined
    if (!found) throw new LabError('execution_not_found')
    const { run } = found
    if (run.status !== 'running') return showExecution(found)
    // Who waits for the work is at the device: the polls of the web app keep the lease.
    await touchIfHolder(options, { caller, hostName: run.host_name, deviceKey: run.device_key })
    await options.watcher.refresh(run.id)
    return showExecution((await findExecution(db, id, caller.teamId)) ?? found)
  }
}

const given = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null))

const started = (run: RunRow, message: string) => ({ success: true as const, execution_id: run.id, run_id: run.id, message })

/** The last word of the host, under the id this server gave; without one, what the end of the run says. */
function showExecution({ run, batch: { status } }: { run: RunRow; batch: BatchRow }): ExecutionStatus {
  const ended = run.status === 'running' ? undefined : run
  const elapsed = (ended?.finished_at ? Date.parse(ended.finished_at) : Date.now()) - Date.parse(run.started_at ?? run.queued_at)
  const last = status ?? { status: 'running' as const, result: null, error: null, progress: 0, message: '', elapsed_time_ms: 0 }
  const cut = ended !== undefined && last.status === 'running'
  const why = [run.error_code, run.error_message].filter(Boolean).join(': ') || `The execution was ${run.status}.`
  return {
    success: true,
    execution_id: run.id,
    ...last,
    ...(cut && { status: 'error' as const, error: why, message: why, progress: 100 }),
    elapsed_time_ms: last.elapsed_time_ms || Math.max(0, elapsed),
    outcome: (ended?.status ?? 'running') as ExecutionStatus['outcome'],
    run_id: run.id,
  }
}
