import { readFile } from 'node:fs/promises'
import type { RunProgress } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { type ServerAnswer, type ServerClient, ServerUnreachable } from '../link/server-client.ts'
import type { AttemptOutbox } from './attempt-outbox.ts'
import { type Bell, createBell } from './bell.ts'

/** Least time between two progress calls of a run that goes on, so that news is gathered. */
const progressEveryMs = 300
const firstPauseMs = 500
const longestPauseMs = 10_000
/** So often a call may be refused (4xx) before what it carried is given up. The result is never given up. */
const refusalsAllowed = 3
/** So long a store that answers 5xx may hold back the result of an ended run. */
const storeFailureMs = 60_000
const timeoutsMs = { progress: 15_000, artifact: 60_000, result: 30_000 }
/** By these the server says that the attempt is over for it; trying again cannot help. */
const finalCodes = new Set(['stale_token', 'run_finished', 'illegal_move'])

export interface Delivery {
  outbox: AttemptOutbox
  client: ServerClient
  hostName: string
  log: FastifyBaseLogger
  signal: AbortSignal
  /** Bells of those who pause after a failure; all are rung when the server is there again. */
  pausing: Set<Bell>
  onCancel: () => void
}

type Outcome = 'ok' | 'stale' | 'refused' | 'failed' | 'unreachable'
export type DeliveryEnd = 'delivered' | 'stale' | 'stopped'

/**
 * Brings one attempt to the server: progress and artifacts side by side while it runs, its result when all of them are
 * there. `delivered`: the server has everything. `stale`: it says that the attempt has lost its lease. `stopped`:
 * aborted, the rest is still on disk. Every call may be repeated, so an answer that was lost does no harm.
 */
export async function deliverAttempt(delivery: Delivery): Promise<DeliveryEnd> {
  const stale = new AbortController()
  const signal = AbortSignal.any([delivery.signal, stale.signal])
  const markStale = (): void => stale.abort()
  await Promise.all([deliverProgress(delivery, signal, markStale), deliverArtifacts(delivery, signal, markStale)])
  await deliverResult(delivery, signal, markStale)
  if (stale.signal.aborted) return 'stale'
  return delivery.signal.aborted ? 'stopped' : 'delivered'
}

async function deliverProgress(delivery: Delivery, signal: AbortSignal, markStale: () => void): Promise<void> {
  const { outbox, log } = delivery
  const retry = createRetry(delivery.pausing)
  const spacing = createBell()
  while (!signal.aborted) {
    if (!outbox.hasProgress) {
      if (outbox.isEnded) return
      await outbox.progressNews.wait(undefined, signal)
      continue
    }
    const lines = outbox.isLogAbandoned ? [] : await outbox.log.read(outbox.sentLines)
    const steps = outbox.takeSteps()
    const from = outbox.sentLines
    const body: RunProgress = {
      host_name: delivery.hostName,
      token: outbox.order.token,
      ...(outbox.startedProcess && { started: true }),
      ...(steps.length > 0 && { steps }),
      ...(lines.length > 0 && { log: { from, lines } }),
    }
    const { outcome, answer } = await tryCall(delivery, timeoutsMs.progress, signal, (options) =>
      delivery.client.post(`/server/runs/${outbox.order.run_id}/progress`, body, options),
    )
    if (outcome === 'stale') return markStale()
    if (outcome === 'ok') {
      retry.succeeded()
      outbox.isStartSent ||= body.started === true
      if (answer?.cancel === true) delivery.onCancel()
      const next = answer?.next_line
      // The server decides where the log goes on: it may have lost or already have had lines.
      outbox.sentLines = typeof next === 'number' && next >= 0 && next <= outbox.log.count ? next : from + lines.length
      if (lines.length > 0 && outbox.sentLines <= from) await retry.pause(signal)
      else if (!outbox.isEnded && !outbox.hasLogBacklog) await spacing.wait(progressEveryMs, signal)
      continue
    }
    if (outcome === 'refused' && retry.isRefusedTooOften()) {
      // Steps first: one that the server cannot store must not cost the log, and neither may cost the result.
      log.warn({ status: answer?.status, code: answer?.code, steps: steps.length }, 'progress refused by the server, given up')
      retry.succeeded()
      if (steps.length === 0) outbox.abandonProgress()
      continue
    }
    outbox.giveBackSteps(steps)
    await retry.pause(signal)
  }
}

async function deliverArtifacts(delivery: Delivery, signal: AbortSignal, markStale: () => void): Promise<void> {
  const { outbox, log } = delivery
  const retry = createRetry(delivery.pausing)
  let failingSince: number | undefined
  while (!signal.aborted) {
    const artifact = outbox.artifacts[0]
    if (!artifact) {
      if (outbox.isEnded) return
      await outbox.artifactNews.wait(undefined, signal)
      continue
    }
    const data = await readFile(outbox.artifactFile(artifact.id)).catch(() => undefined)
    if (!data) {
      await outbox.dropArtifact(artifact)
      continue
    }
    const query = new URLSearchParams({ kind: artifact.kind, name: artifact.name })
    const headers = {
      'content-type': artifact.content_type,
      'x-lease-token': String(outbox.order.token),
      // A header carries ASCII only, a host name may be in any script; it never contains % itself.
      'x-host-name': /^[\x21-\x7e ]+$/.test(delivery.hostName) ? delivery.hostName : encodeURIComponent(delivery.hostName),
    }
    const { outcome, answer } = await tryCall(delivery, timeoutsMs.artifact, signal, (options) =>
      delivery.client.put(
        `/server/runs/${outbox.order.run_id}/artifacts/${artifact.id}?${query.toString()}`,
        data,
        headers,
        options,
      ),
    )
    if (outcome === 'stale') return markStale()
    if (outcome !== 'failed' || !outbox.isEnded) failingSince = undefined
    else failingSince ??= performance.now()
    const isStoreBroken = failingSince !== undefined && performance.now() - failingSince > storeFailureMs
    const isRefused = outcome === 'refused' && retry.isRefusedTooOften()
    if (isStoreBroken || isRefused) {
      log.warn(
        { artifact: artifact.name, status: answer?.status, code: answer?.code },
        'artifact not accepted by the server, given up',
      )
    }
    if (outcome === 'ok' || isStoreBroken || isRefused) {
      retry.succeeded()
      await outbox.dropArtifact(artifact)
    } else if (!signal.aborted) await retry.pause(signal)
  }
}

async function deliverResult(delivery: Delivery, signal: AbortSignal, markStale: () => void): Promise<void> {
  const { outbox, log } = delivery
  const retry = createRetry(delivery.pausing)
  while (!signal.aborted && outbox.result) {
    const body = outbox.result
    const { outcome, answer } = await tryCall(delivery, timeoutsMs.result, signal, (options) =>
      delivery.client.post('/server/script/taskComplete', body, options),
    )
    if (outcome === 'ok') return
    if (outcome === 'stale') return markStale()
    if (outcome === 'refused' && retry.isRefusedTooOften()) {
      retry.succeeded()
      log.error(
        { status: answer?.status, code: answer?.code },
        'the server refuses a result; it stays on disk and is offered again',
      )
    }
    await retry.pause(signal)
  }
}

/** One call and what its answer means for the attempt. */
async function tryCall(
  delivery: Delivery,
  timeoutMs: number,
  signal: AbortSignal,
  call: (options: { timeoutMs: number; signal: AbortSignal }) => Promise<ServerAnswer>,
): Promise<{ outcome: Outcome; answer?: Record<string, unknown> }> {
  try {
    const { status, body } = await call({ timeoutMs, signal })
    const answer = { ...body, status }
    if (status >= 200 && status < 300) return { outcome: 'ok', answer: body }
    if (status === 409 && typeof body.code === 'string' && finalCodes.has(body.code)) return { outcome: 'stale', answer }
    // Without the server's own envelope it may be a proxy that speaks while the server is being replaced.
    const isOwnRefusal = typeof body.code === 'string' && body.code !== 'route_not_found'
    const isPermanent = status >= 400 && status < 500 && ![401, 403, 408, 425, 429].includes(status)
    delivery.log.debug({ status, code: body.code }, 'delivery not accepted')
    return { outcome: isOwnRefusal && isPermanent ? 'refused' : 'failed', answer }
  } catch (error) {
    if (!(error instanceof ServerUnreachable)) throw error
    if (!signal.aborted) delivery.log.debug({ err: error }, 'delivery not possible')
    return { outcome: 'unreachable' }
  }
}

/** Growing pauses with jitter between failed calls, cut short when the server comes back. */
function createRetry(pausing: Set<Bell>) {
  let pauseMs = firstPauseMs
  let refusals = 0
  const bell = createBell()
  return {
    succeeded() {
      pauseMs = firstPauseMs
      refusals = 0
    },
    isRefusedTooOften: () => ++refusals >= refusalsAllowed,
    async pause(signal: AbortSignal) {
      pausing.add(bell)
      try {
        await bell.wait(pauseMs * (0.75 + Math.random() / 2), signal)
      } finally {
        pausing.delete(bell)
      }
      pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    },
  }
}
