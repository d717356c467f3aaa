import { type Action, type DeviceTarget, LabError, type Verification } from '@virtualpytest/shared'
import { inTransaction } from '../../db/database.ts'
import type { Caller } from '../../http/caller.ts'
import { type CallPolicy, type CallTarget, callDevice, type DeviceCallOptions, isHolder } from '../device-calls/index.ts'
import { finishRun, infrastructureEnd, type RunRow } from '../runs/index.ts'
import { insertBatch, type Labels, nameHostExecution } from './batch.store.ts'
import type { BatchKind } from './host-status.ts'
import { type BatchWatcher, startTimeoutMs } from './watch-batches.ts'

export interface BatchOptions extends DeviceCallOptions {
  watcher: BatchWatcher
  onEnded: (run: RunRow) => void
}

export interface BatchStart {
  kind: Exclude<BatchKind, 'browser_task'>
  effect: 'changes' | 'reads'
  caller: Caller
  identity: DeviceTarget
  target: CallTarget
  labels: Labels
  metadata: Record<string, unknown>
  /** Path and body of the host's start route. */
  path: string
  body: Record<string, unknown>
}

/**
 * Records the batch, then asks the host to begin. In this order a server that is killed in between leaves a run that ends by
 * itself, never work that nobody knows of. An agent takes the id of the run as its own, so its work is found again even then.
 */
export async function startBatch(options: BatchOptions, start: BatchStart): Promise<RunRow> {
  const { db } = options
  const { target } = start
  const run = await inTransaction(db, (tx) =>
    insertBatch(tx, { ...newRun(options, start), kind: start.kind, labels: start.labels }),
  )
  const answer = await callDevice(options, withFence(target, run), {
    method: 'POST',
    path: start.path,
    body: {
      ...start.body,
      ...(target.host.agent !== null && { execution_id: run.id, ...(isLooker(start, run) && { beside: true }) }),
    },
    timeoutMs: startTimeoutMs[start.kind],
  }).catch(async (error: unknown) => {
    await endUnstarted(options, run, error instanceof Error ? error.message : 'The host could not be called.')
    throw withCounts(error, start)
  })
  const { success, execution_id: id } = answer.body
  if (success === false || typeof id !== 'string' || id === '') {
    const text = typeof answer.body.error === 'string' ? answer.body.error : 'The host did not begin.'
    await endUnstarted(options, run, text)
    throw withCounts(new LabError('host_error', { text, errorType: 'host_error', status: 500 }), start)
  }
  await nameHostExecution(db, run.id, id.slice(0, 200))
  options.watcher.watch(run.id, target.host.agent !== null)
  return run
}

/** Only looks, at a device that somebody else has: the work of its holder must not wait for it. */
const isLooker = ({ target }: BatchStart, run: RunRow): boolean => run.lease_id === null && target.lease !== null

/** The device under the lease of the run, which may have raised the fence. */
export const withFence = (target: CallTarget, run: RunRow): CallTarget => ({
  ...target,
  device: { ...target.device, fence: run.lease_token ?? target.device.fence },
})

export function newRun(
  options: CallPolicy,
  start: Pick<BatchStart, 'caller' | 'identity' | 'target' | 'labels' | 'metadata' | 'effect'>,
) {
  const { caller, identity, target, labels, metadata } = start
  const isStrict = options.authMode === 'required'
  const { lease } = target
  const names = labels.main ?? []
  const more = names.length > 3 ? `, and ${names.length - 3} more` : ''
  return {
    teamId: caller.teamId,
    name: `${names.slice(0, 3).join(', ')}${more}`.slice(0, 300),
    host: target.host,
    device: target.device,
    requestedBy: caller.name ?? identity.user_id ?? identity.session_id ?? null,
    requestedIp: caller.ip,
    metadata,
    leaseId: lease !== null && isHolder(options, start) ? lease.id : null,
    claims: start.effect === 'reads' ? ('no' as const) : isStrict ? ('must' as const) : ('may' as const),
  }
}

async function endUnstarted({ db, onEnded }: BatchOptions, run: RunRow, message: string): Promise<void> {
  const ended = await inTransaction(db, (tx) =>
    finishRun(tx, run.id, infrastructureEnd({ code: 'dispatch_failed', message: message.slice(0, 1000) })),
  )
  if (ended) onEnded(ended)
}

/** The web app reads how many actions passed also where none could be started. */
function withCounts(error: unknown, start: BatchStart): unknown {
  if (!(error instanceof LabError)) return error
  const { code, message, status, errorType, extra, cause } = error
  const counts = { passed_count: 0, total_count: start.labels.main?.length ?? 0 }
  return new LabError(code, { text: message, status, errorType, extra: { ...extra, ...counts }, cause })
}

/** A name for the step: the key matters as much as the command; other parameters may be what somebody typed. */
export function labelOf(one: Action | Verification): string {
  const key = one.params?.key
  return typeof key === 'string' && /^\w{1,40}$/.test(key) ? `${one.command} ${key}` : one.command
}
