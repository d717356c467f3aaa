import { randomBytes } from 'node:crypto'
import type { RunOrder } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { AttemptOutbox } from '../../outbox/attempt-outbox.ts'
import type { RunProcess } from '../../process/run-process.ts'
import { createStepBook, type StepBook } from './step-book.ts'
import type { StopReason } from './verdict.ts'

/**
 * One attempt of a run as this agent holds it: queued -> running -> ended (its result is in the outbox) -> gone (the
 * server has it, or wants nothing of it). `stop` may come in any state before ended.
 */
export interface LiveRun {
  readonly order: RunOrder
  readonly outbox: AttemptOutbox
  /** What the script shows to use the run API. */
  readonly key: string
  readonly steps: StepBook
  readonly log: FastifyBaseLogger
  /** Aborted when the run is stopped: device commands of its script end. */
  readonly commands: AbortController
  /** Aborted when nothing of the run is to be sent any more. */
  readonly delivery: AbortController
  state: 'queued' | 'running' | 'ended'
  stop: StopReason | undefined
  process: RunProcess | undefined
  marker: boolean | undefined
  /** Resolves when the attempt has ended and nothing of it runs. */
  done: Promise<void>
}

export function createLiveRun(outbox: AttemptOutbox, now: () => number, log: FastifyBaseLogger): LiveRun {
  const { order } = outbox
  return {
    order,
    outbox,
    key: randomBytes(32).toString('hex'),
    steps: createStepBook(outbox, now),
    log: log.child({ run_id: order.run_id, device_id: order.device_id }),
    commands: new AbortController(),
    delivery: new AbortController(),
    state: outbox.isEnded ? 'ended' : 'queued',
    stop: undefined,
    process: undefined,
    marker: undefined,
    done: Promise.resolve(),
  }
}

/** Stops a run for a reason; the first reason counts, but a lost lease outweighs every other. */
export function stopRun(run: LiveRun, reason: StopReason): void {
  if (run.state === 'ended' || (run.stop && reason.kind !== 'lease_lost')) return
  const isFirst = run.stop === undefined
  run.stop = reason
  if (!isFirst) return
  run.log.info({ reason: reason.kind }, 'run stopped')
  run.commands.abort(new Error(`The run was stopped: ${reason.kind}.`))
  run.process?.stop().catch((error: unknown) => run.log.error({ err: error }, 'run could not be ended'))
}

/** Environment by which the processes of an attempt are found again, also by the next life of the agent. */
export const processTags = (order: RunOrder): string[] => [`VPT_RUN_ID=${order.run_id}`, `VPT_LEASE_TOKEN=${order.token}`]
