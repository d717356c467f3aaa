import { setTimeout as sleep } from 'node:timers/promises'
import { type Artifact, isFinalRun, type LabEvent, type Run, RunStep, runRoutes } from '@virtualpytest/shared'
import type { ApiClient } from '../api-client.ts'
import { CliError } from '../cli-error.ts'
import { openRunStream } from './event-stream.ts'

export interface RunListener {
  /** The run as it is now; at least once, and whenever its status or place in the queue changed. */
  onRun(run: Run): void
  /** A step that is new or has changed. */
  onStep(step: RunStep): void
  /** Lines of the log, each once and in order. */
  onLines(lines: readonly string[], from: number): void
  /** Trouble with the connection, for a person. */
  onTrouble(text: string): void
}

export interface FollowOptions {
  listener: RunListener
  signal: AbortSignal
  /** How long a server may be away before this gives up. */
  patienceMs: number
  /** Read the log, too. */
  withLog: boolean
}

export interface EndedRun {
  run: Run
  steps: RunStep[]
  artifacts: Artifact[]
}

/** Without a stream, and as a net under it, the run is asked for this often. */
const pollMs = 1000
const checkMs = 5000
const logPage = 2000
const shortestPauseMs = 250
const longestPauseMs = 3000

/**
 * Follows one run to its end. The truth is what the run's own routes say; the event stream only makes it fast. Everything is
 * applied by position (steps) and by number (log lines), so nothing is shown twice or left out, whatever the connection does:
 * after a cut the stream goes on behind the last event seen, and a look at the run closes what a lost event left open.
 */
export async function followRun(api: ApiClient, runId: string, options: FollowOptions): Promise<EndedRun> {
  const { listener, signal, patienceMs, withLog } = options
  const steps = new Map<number, { state: string; isDone: boolean }>()
  let shown = ''
  let nextLine = 0
  let lastSeq: number | undefined
  let ended: EndedRun | undefined
  let hasStream = true

  function applyRun(run: Run): void {
    const state = JSON.stringify([run.status, run.queue_position, run.cancel_requested])
    if (state === shown) return
    shown = state
    listener.onRun(run)
  }

  function applyStep(step: RunStep): void {
    const state = stateOf(step)
    const known = steps.get(step.position)
    const isDone = Boolean(step.outcome)
    // An event may be older than the look that was taken since.
    if (known?.state === state || (known?.isDone && !isDone)) return
    steps.set(step.position, { state, isDone })
    listener.onStep(step)
  }

  function applyLines(lines: readonly string[], from: number): void {
    const fresh = lines.slice(Math.max(0, nextLine - from))
    if (fresh.length === 0) return
    listener.onLines(fresh, nextLine)
    nextLine += fresh.length
  }

  async function readNewLines(): Promise<void> {
    if (!withLog) return
    for (;;) {
      const page = await api.call(runRoutes.log, {
        params: { run_id: runId },
        query: { after: nextLine, limit: logPage },
        signal,
      })
      applyLines(page.lines, page.from)
      if (page.lines.length < logPage) return
    }
  }

  /** One look at the run: what events have told already is passed over. */
  async function look(): Promise<void> {
    const { run, steps: all, artifacts } = await api.call(runRoutes.read, { params: { run_id: runId }, signal })
    applyRun(run)
    await readNewLines()
    for (const step of all) applyStep(step)
    if (isFinalRun(run.status)) ended = { run, steps: all, artifacts }
  }

  async function applyEvent(event: LabEvent): Promise<void> {
    lastSeq = event.seq
    if (event.type === 'run.step') {
      const step = RunStep.safeParse(event.data.step)
      if (step.success) applyStep(step.data)
      return
    }
    if (event.type === 'run.log') {
      const { from, lines } = event.data
      if (!withLog || typeof from !== 'number' || !Array.isArray(lines)) return
      if (from > nextLine) await readNewLines()
      else applyLines(lines.map(String), from)
      return
    }
    await look()
  }

  async function followStream(): Promise<void> {
    const stream = await openRunStream(api, runId, lastSeq, signal)
    if (!stream) {
      hasStream = false
      return
    }
    try {
      // After the stream is open, so that nothing falls between the look and the first event.
      await look()
      onAnswer()
      while (!ended) {
        const item = await stream.next(checkMs)
        if (item === undefined) return
        if (item === 'idle') await look()
        else if (item.kind === 'event') await applyEvent(item.event)
        else lastSeq ??= item.after
      }
    } finally {
      stream.close()
    }
  }

  let awaySince: number | undefined
  let failures = 0
  function onAnswer(): void {
    if (failures > 1) listener.onTrouble('The server answers again.')
    awaySince = undefined
    failures = 0
  }

  while (!ended) {
    try {
      if (hasStream) await followStream()
      else {
        await look()
        onAnswer()
        if (!ended) await sleep(pollMs, undefined, { signal })
      }
      // A stream that ends at once again and again must not become a busy loop.
      if (!ended && hasStream) await sleep(shortestPauseMs, undefined, { signal })
    } catch (error) {
      signal.throwIfAborted()
      if (!isPassing(error)) throw error
      awaySince ??= performance.now()
      if (performance.now() - awaySince > patienceMs) throw givenUp(error, runId)
      failures += 1
      if (failures === 2) listener.onTrouble(`${error.message} Trying again …`)
      await sleep(Math.min(shortestPauseMs * 2 ** failures, longestPauseMs), undefined, { signal })
    }
  }
  return ended
}

/** What of a step is worth telling; the same step looks different in an event and in the database. */
function stateOf(step: RunStep): string {
  const measures: unknown = step.details?.measures
  const count = Array.isArray(measures) ? measures.length : 0
  const duration = Math.round(step.duration_ms ?? -1)
  return JSON.stringify([
    step.name,
    step.outcome ?? null,
    duration,
    step.message ?? null,
    step.screenshot_artifact_id ?? null,
    count,
  ])
}

function givenUp(error: CliError, runId: string): CliError {
  const hints = [...error.hints, `The run itself may go on. Look at it later with: vpt show ${runId}`]
  return new CliError(error.message, { hints, cause: error, ...(error.status !== undefined && { status: error.status }) })
}

/** A server that restarts, drains or lost its database comes back; a refusal stays one. */
const isPassing = (error: unknown): error is CliError =>
  error instanceof CliError && error.status !== undefined && (error.status === 0 || error.status >= 500 || error.status === 429)
