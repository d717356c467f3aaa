import { randomUUID } from 'node:crypto'
import { LabError } from '@virtualpytest/shared'

export type ExecutionKind = 'action' | 'verification' | 'builder'
export type Outcome = 'passed' | 'failed' | 'error' | 'cancelled'
export type BatchResult = { success: boolean; message: string; [field: string]: unknown }

export interface Execution {
  readonly id: string
  readonly kind: ExecutionKind
  readonly deviceId: string
  /** Null for callers without a lease, such as an original server. */
  readonly token: number | null
  /** 0 to 100. */
  progress: number
  message: string
  outcome: Outcome | null
  result: BatchResult | null
  error: string | null
  readonly startedAt: number
  endedAt: number | null
}

export type Work = (tell: (progress: number, message: string) => void, signal: AbortSignal) => Promise<BatchResult>

export interface ExecutionStart {
  kind: ExecutionKind
  deviceId: string
  token: number | null
  /** Chosen by the caller, who may ask twice; the second time it is the same execution. */
  id?: string | null
  /** Somebody else has the device and this only looks: it has a queue of its own, for which nobody's work waits. */
  isBeside?: boolean
}

export interface Executions {
  /** Throws host_busy when too many wait for the device already. */
  start(about: ExecutionStart, work: Work): Execution
  find(id: string): Execution | undefined
  cancel(id: string): boolean
  /** A newer lease has begun: what older ones started on the device ends. */
  supersede(deviceId: string, token: number): void
  close(): Promise<void>
}

const keptMs = 24 * 3600_000
const keptCount = 500
/** In one queue, with the one at work. Nobody plans further ahead by hand; a caller in an endless loop does. */
const mostOpen = 50

/**
 * Work that goes on after its call was answered: one at a time on each device, in the order of the calls, so that two
 * batches never press keys between each other. Results are kept for a day; the server records them for longer.
 */
export function createExecutions(now: () => number = Date.now): Executions {
  const all = new Map<string, Execution>()
  const stops = new Map<string, AbortController>()
  const queues = new Map<string, { last: Promise<void>; open: number }>()

  function forgetOld(): void {
    for (const [id, { endedAt }] of all) {
      if (endedAt === null) continue
      if (endedAt > now() - keptMs && all.size <= keptCount) break
      all.delete(id)
    }
  }

  async function run(execution: Execution, work: Work, signal: AbortSignal): Promise<void> {
    const tell = (progress: number, message: string): void => {
      execution.progress = progress
      execution.message = message
    }
    try {
      signal.throwIfAborted()
      const result = await work(tell, signal)
      Object.assign(execution, { result, outcome: result.success ? 'passed' : 'failed', message: result.message })
      if (!result.success) execution.error = result.message
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      Object.assign(execution, { outcome: signal.aborted ? 'cancelled' : 'error', error: text, message: text })
    }
    execution.progress = 100
    execution.endedAt = now()
    stops.delete(execution.id)
  }

  return {
    start(about, work) {
      forgetOld()
      const { id: given, isBeside = false, ...facts } = about
      const known = given ? all.get(given) : undefined
      if (known) return known
      const id = given ?? randomUUID()
      const fresh = { progress: 0, message: 'waiting', outcome: null, result: null, error: null, endedAt: null }
      const execution: Execution = { id, ...facts, ...fresh, startedAt: now() }
      const name = `${about.deviceId}${isBeside ? ' beside' : ''}`
      const queue = queues.get(name) ?? { last: Promise.resolve(), open: 0 }
      if (queue.open >= mostOpen) {
        throw new LabError('host_busy', { text: `${queue.open} batches wait for this device already: wait, or cancel some.` })
      }
      const stop = new AbortController()
      all.set(id, execution)
      stops.set(id, stop)
      queue.open += 1
      queue.last = queue.last
        .then(() => run(execution, work, stop.signal))
        .finally(() => {
          queue.open -= 1
        })
      queues.set(name, queue)
      return execution
    },
    find: (id) => all.get(id),
    cancel(id) {
      const stop = stops.get(id)
      stop?.abort(new Error('Cancelled'))
      return stop !== undefined
    },
    supersede(deviceId, token) {
      for (const [id, stop] of stops) {
        const execution = all.get(id)
        if (execution?.deviceId !== deviceId || (execution.token ?? 0) >= token) continue
        stop.abort(new Error('Another lease of this device has begun'))
      }
    },
    async close() {
      for (const stop of stops.values()) stop.abort(new Error('The agent stops'))
      await Promise.all([...queues.values()].map(({ last }) => last))
    },
  }
}

/** The status object of the protocol, with the words of original hosts, and `outcome` in plain ones. */
export function statusOf(execution: Execution, now = Date.now()): Record<string, unknown> {
  const { kind, outcome } = execution
  const isError = outcome === 'error' || outcome === 'cancelled' || (outcome === 'failed' && kind === 'verification')
  return {
    success: true,
    execution_id: execution.id,
    status: outcome === null ? 'running' : isError ? 'error' : 'completed',
    outcome,
    result: execution.result,
    error: execution.error,
    progress: execution.progress,
    message: execution.message,
    elapsed_time_ms: Math.round((execution.endedAt ?? now) - execution.startedAt),
  }
}
