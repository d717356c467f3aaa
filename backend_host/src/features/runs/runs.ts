import { timingSafeEqual } from 'node:crypto'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type BeatLease, LabError, type RunOrder } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { z } from 'zod'
import type { ServerClient } from '../../link/server-client.ts'
import { AttemptOutbox } from '../../outbox/attempt-outbox.ts'
import type { Bell } from '../../outbox/bell.ts'
import { type DeliveryEnd, deliverAttempt } from '../../outbox/deliver.ts'
import type { Devices } from '../devices/index.ts'
import type { Fences } from '../leases/index.ts'
import { findScript } from '../scripts/index.ts'
import { type ExecutionContext, executeRun } from './execute-run.ts'
import { createLiveRun, type LiveRun, stopRun } from './live-run.ts'
import { recoverRuns } from './recover-runs.ts'
import type { StopReason } from './verdict.ts'

export type HeldLease = z.infer<typeof BeatLease>
export type LostLease = HeldLease & { reason: string }

const mostLeasesInBeat = 64
/** Keys of ended runs are remembered for a while, so that a leftover of one is told that its lease is over. */
const mostEndedKeys = 500
const deliveryRetryMs = 5_000

export interface Runs {
  /** Ends leftovers of an earlier life and starts the delivery of what it left. Call once, before anything else. */
  recover(): Promise<void>
  /** Takes an order in; when it resolves the order is on disk. The same order again changes nothing. */
  accept(order: RunOrder, options: { isScriptChecked: boolean }): Promise<void>
  cancel(runId: string, token: number | undefined, reason: string): void
  /** What the beat renews: attempts that are queued, run, or wait for their delivery. */
  leases(): HeldLease[]
  lose(lost: readonly LostLease[]): void
  /** Ends the runs of a device that hold an older token than the one just seen. */
  supersede(deviceId: string, token: number): void
  /** The run a key belongs to; `ended` when that run is over. */
  findByKey(key: string): LiveRun | 'ended' | undefined
  /** Takes no more orders, waits for open runs, stops the rest, and gives deliveries some time. */
  drain(times: { waitMs: number; flushMs: number }): Promise<void>
  /** Stops delivering; what is not delivered stays on disk. */
  close(): Promise<void>
}

export interface RunsContext extends ExecutionContext {
  devices: Devices
  fences: Fences
  client: ServerClient
  log: FastifyBaseLogger
  /** Bells of deliveries that pause until the server is back. */
  pausing: Set<Bell>
}

/**
 * All attempts this agent knows, with one queue per device: two devices work side by side, one device runs one script at
 * a time. Which attempt may use a device is not decided here but by the token (see fences).
 */
export function createRuns(context: RunsContext): Runs {
  const { config, devices, fences, log } = context
  const root = path.join(config.dataDir, 'outbox')
  const live = new Set<LiveRun>()
  const queues = new Map<string, Promise<void>>()
  const accepting = new Map<string, Promise<void>>()
  const endedKeys: string[] = []
  const deliveries = new Set<Promise<void>>()
  let isDraining = false

  const isOpen = (run: LiveRun): boolean => run.state !== 'ended'
  const isDropped = (run: LiveRun): boolean => run.stop?.kind === 'lease_lost' && run.stop.isDropped

  async function forget(run: LiveRun): Promise<void> {
    await run.done
    live.delete(run)
    endedKeys.push(run.key)
    if (endedKeys.length > mostEndedKeys) endedKeys.shift()
    await run.outbox.remove().catch((error: unknown) => run.log.warn({ err: error }, 'folder of an attempt not removed'))
  }

  function drop(run: LiveRun, reason: string): void {
    run.log.warn({ reason }, 'lease lost, run dropped')
    const stop: StopReason = { kind: 'lease_lost', reason, isDropped: true }
    stopRun(run, stop)
    run.stop = stop
    run.delivery.abort()
  }

  async function deliver(run: LiveRun): Promise<void> {
    let end: DeliveryEnd | undefined
    while (end === undefined) {
      end = await deliverAttempt({
        outbox: run.outbox,
        client: context.client,
        hostName: config.hostName,
        log: run.log,
        signal: run.delivery.signal,
        pausing: context.pausing,
        onCancel: () => stopRun(run, { kind: 'cancelled', reason: 'Cancelled on the server.' }),
      }).catch((error: unknown) => {
        // Such as a disk that cannot be read. Giving up would leave the run open until its deadline.
        run.log.error({ err: error }, 'delivery failed inside the agent; it is tried again')
        return undefined
      })
      if (end === undefined) await pause(deliveryRetryMs, undefined, { signal: run.delivery.signal }).catch(() => undefined)
    }
    if (end === 'stale') drop(run, 'The server says that this lease has ended.')
    if (end !== 'stopped' || isDropped(run)) await forget(run)
    if (end === 'delivered') run.log.info('result delivered')
  }

  function begin(run: LiveRun): void {
    live.add(run)
    const delivery = deliver(run)
      .catch((error: unknown) => run.log.error({ err: error }, 'delivery ended by a failure'))
      .finally(() => deliveries.delete(delivery))
    deliveries.add(delivery)
  }

  function enqueue(run: LiveRun): void {
    const deviceId = run.order.device_id
    const turn = queues.get(deviceId) ?? Promise.resolve()
    // A run that is stopped while it waits ends at once; the queue goes on behind both.
    run.done = Promise.race([turn, aborted(run.commands.signal)]).then(() => executeRun(run, context))
    queues.set(
      deviceId,
      Promise.all([turn, run.done]).then(() => undefined),
    )
  }

  async function takeIn(order: RunOrder): Promise<void> {
    // Both happen before the first wait, so that no other order of this device can come between.
    fences.admit(order.device_id, order.token)
    fences.remember(order.device_id, order.task_id)
    let outbox: AttemptOutbox | undefined
    try {
      // The order first: a task that is remembered but not on disk would be confirmed again and never run.
      outbox = await AttemptOutbox.create(root, order)
      await fences.save()
    } catch (error) {
      fences.forget(order.device_id, order.task_id)
      await outbox?.remove()
      throw error
    }
    const run = createLiveRun(outbox, context.serverNow, log)
    if (fences.isStale(order.device_id, order.token)) stopRun(run, superseded)
    else if (isDraining) stopRun(run, { kind: 'stopping' })
    run.log.info({ script: order.script_name, token: order.token }, 'run accepted')
    begin(run)
    enqueue(run)
  }

  return {
    async recover() {
      for (const run of await recoverRuns(root, config.hostName, context.serverNow, log)) {
        const { device_id, token, task_id } = run.order
        if (!fences.isStale(device_id, token)) {
          fences.admit(device_id, token)
          if (!fences.knows(device_id, token, task_id)) fences.remember(device_id, task_id)
        }
        begin(run)
      }
      await fences.save()
    },
    async accept(order, { isScriptChecked }) {
      const { device_id, token, task_id } = order
      const id = `${task_id} ${token}`
      const known = accepting.get(id)
      if (known) return known
      if (fences.isStale(device_id, token)) throw new LabError('stale_token')
      if (fences.knows(device_id, token, task_id)) return
      if (isDraining) throw new LabError('draining')
      if (order.host_name !== config.hostName) throw new LabError('validation_error', { text: 'This order is for another host.' })
      devices.require(device_id)
      const accepted = (async () => {
        if (isScriptChecked) await findScript(config.scriptsDir, order.script_name)
        await takeIn(order)
      })()
      accepting.set(id, accepted)
      try {
        await accepted
      } finally {
        accepting.delete(id)
      }
    },
    cancel(runId, token, reason) {
      const attempts = [...live].filter((run) => run.order.run_id === runId)
      const run = attempts.sort((one, other) => other.order.token - one.order.token)[0]
      if (!run) throw new LabError('run_not_found', { text: 'This host has no such run.' })
      if (token !== undefined && token < run.order.token) throw new LabError('stale_token')
      stopRun(run, { kind: 'cancelled', reason })
    },
    leases() {
      const held = [...live].filter((run) => run.stop?.kind !== 'lease_lost')
      const openFirst = [...held.filter(isOpen), ...held.filter((run) => !isOpen(run))]
      return openFirst.slice(0, mostLeasesInBeat).map(({ order: { device_id, token, run_id } }) => ({ device_id, token, run_id }))
    },
    lose(lost) {
      for (const { run_id, device_id, token, reason } of lost) {
        for (const run of live) {
          const { order } = run
          if (order.run_id === run_id && order.device_id === device_id && order.token === token && !isDropped(run))
            drop(run, reason)
        }
      }
    },
    supersede(deviceId, token) {
      for (const run of live) {
        if (run.order.device_id === deviceId && run.order.token < token) stopRun(run, superseded)
      }
    },
    findByKey(key) {
      for (const run of live) if (isSameKey(run.key, key)) return isOpen(run) && run.stop?.kind !== 'lease_lost' ? run : 'ended'
      return endedKeys.some((one) => isSameKey(one, key)) ? 'ended' : undefined
    },
    async drain({ waitMs, flushMs }) {
      isDraining = true
      const openEnds = (): Promise<unknown> => Promise.all([...live].filter(isOpen).map((run) => run.done))
      await withinMs(openEnds(), waitMs)
      for (const run of live) stopRun(run, { kind: 'stopping' })
      await openEnds()
      await withinMs(Promise.all(deliveries), flushMs)
    },
    async close() {
      isDraining = true
      for (const run of live) {
        stopRun(run, { kind: 'stopping' })
        run.delivery.abort()
      }
      await Promise.all([...live].map((run) => run.done))
      await Promise.all(deliveries)
      for (const run of live) await run.outbox.close().catch(() => undefined)
    },
  }
}

/** The result is offered all the same: the server decides what an attempt that was overtaken is worth. */
const superseded: StopReason = {
  kind: 'lease_lost',
  reason: 'Another lease of the device has begun.',
  isDropped: false,
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

function isSameKey(one: string, other: string): boolean {
  const bytes = Buffer.from(one)
  const others = Buffer.from(other)
  return bytes.length === others.length && timingSafeEqual(bytes, others)
}

/** Waits for the work, but not longer than this; the work itself goes on. */
async function withinMs(work: Promise<unknown>, ms: number): Promise<void> {
  const timer = new AbortController()
  try {
    await Promise.race([work, pause(ms, undefined, { signal: timer.signal })])
  } finally {
    timer.abort()
  }
}
