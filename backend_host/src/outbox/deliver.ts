import { readFile } from 'node:fs/promises'
import type { RunProgress } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { type ServerAnswer, type ServerClient, ServerUnreachable } from '../link/server-client.ts'
import type { AttemptOutbox, PendingArtifact } from './attempt-outbox.ts'
import { type Bell, createBell } from './bell.ts'

/** Least time between two progress calls of a run that goes on, so that news is gathered. */
const progressEveryMs = 300
const firstPauseMs = 500
const longestPauseMs = 10_000
/** So often a call may be refused (4xx) before what it carried is given up; the result never is. */
const refusalsAllowed = 3
/** So long a store that answers 5xx may hold back the result of an ended run. */
const storeFailureMs = 60_000
const timeouts = { progress: 15_000, artifact: 60_000, result: 30_000 }
/** Codes by which the server says that this attempt is over for it. */
const finalCodes = new Set(['stale_token', 'run_finished', 'illegal_move'])

export interface Delivery {
  outbox: AttemptOutbox
  client: ServerClient
  hostName: string
  log: FastifyBaseLogger
  /** Rings when the server is there again: no reason to sit out a pause. */
  reconnected: Bell
  signal: AbortSignal
  onCancel: () => void
}

type Outcome = 'ok' | 'stale' | 'refused' | 'failed' | 'unreachable'

/**
 * Brings one attempt to the server: progress and artifacts while it runs, its result when everything else is there.
 * `delivered`: the server has all of it. `stale`: the server says that the attempt has lost its lease. `stopped`: aborted,
 * the rest is still on disk. A failing artifact store does not hold up steps and log lines.
 */
export async function deliverAttempt(delivery: Delivery): Promise<'delivered' | 'stale' | 'stopped'> {
  const { outbox, signal, reconnected } = delivery
  const progress = createRetry()
  const artifact = createRetry()
  const result = createRetry()
  let lastProgressAt = -progressEveryMs
  while (!signal.aborted) {
    const now = performance.now()
    const current = outbox.artifacts[0]
    const isDue = (retry: Retry): boolean => now >= retry.notBefore
    if (outbox.hasProgress) {
      const spacing = outbox.isEnded ? 0 : lastProgressAt + progressEveryMs - now
      const delayMs = Math.max(progress.notBefore - now, spacing)
      if (delayMs <= 0) {
        const { outcome, isFull } = await sendProgress(delivery, progress)
        if (outcome === 'stale') return 'stale'
        lastProgressAt = isFull ? -progressEveryMs : performance.now()
        continue
      }
      if (!current || !isDue(artifact)) {
        await reconnected.wait(delayMs, signal)
        clearAfterWait(progress, delayMs)
        continue
      }
    }
    if (current && isDue(artifact)) {
      if ((await sendArtifact(delivery, current, artifact)) === 'stale') return 'stale'
      continue
    }
    if (current) {
      await waitEither(outbox.news, reconnected, artifact.notBefore - now, signal)
      continue
    }
    if (!outbox.isEnded) {
      await outbox.news.wait(undefined, signal)
      continue
    }
    if (!isDue(result)) {
      await reconnected.wait(result.notBefore - now, signal)
      result.notBefore = 0
      continue
    }
    const outcome = await sendResult(delivery, result)
    if (outcome === 'ok') return 'delivered'
    if (outcome === 'stale') return 'stale'
  }
  return 'stopped'
}
