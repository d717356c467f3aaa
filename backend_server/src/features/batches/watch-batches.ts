import { setTimeout as pause } from 'node:timers/promises'
import { LabError } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { type Database, inTransaction } from '../../db/database.ts'
import type { Job } from '../../jobs/runner.ts'
import type { ObjectStore } from '../artifacts/index.ts'
import { callDevice, findTarget } from '../device-calls/index.ts'
import type { HostClient, HostStreams } from '../hosts/index.ts'
import { finishRun, infrastructureEnd, type RunRow } from '../runs/index.ts'
import { findExecution, listOpenBatches, recordStatus } from './batch.store.ts'
import { endOf, parseStatus } from './host-status.ts'
import { keepEvidence } from './keep-evidence.ts'

/** Original hosts serve one request at a time: they are asked once a second, as the web app does. */
const pauseMs = { first: 100, most: 1000 }
const statusTimeoutMs = 5000
/** Longer than a host may take to accept a batch. */
export const startTimeoutMs = { action: 180_000, verification: 180_000, builder: 10_000 } as const
const startSeconds = 200

export interface WatcherOptions {
  db: Database
  log: FastifyBaseLogger
  hosts: HostClient & Pick<HostStreams, 'stream'>
  store: ObjectStore
  apiKey: string | undefined
  onEnded: (run: RunRow) => void
  /** The work must stop although its host goes on. */
  cancelOnHost: (run: RunRow) => void
}

/**
 * Nothing is pushed by a host, so somebody must ask it: the server that started the work, until its end; after a restart, or
 * when that server is gone, the leader. Asking twice is harmless, because what comes back is stored under the lock of the run.
 */
export function createBatchWatcher({ db, log, hosts, store, apiKey, onEnded, cancelOnHost }: WatcherOptions) {
  const evidence = { hosts, store, apiKey, log }
  const looking = new Map<string, Promise<boolean>>()
  const watched = new Set<string>()
  const lookedAt = new Map<string, number>()
  const stopping = new AbortController()

  /** False when there is nothing more to ask. */
  async function ask(runId: string): Promise<boolean> {
    const found = await findExecution(db, runId)
    if (found?.run.status !== 'running') return false
    const { run, batch } = found
    const target = await findTarget(db, {
      teamId: run.team_id,
      hostName: run.host_name,
      deviceKey: run.device_key,
      browser: false,
    })
    const id = encodeURIComponent(batch.host_execution_id ?? run.id)
    const answer = await callDevice({ hosts, apiKey }, target, {
      method: 'GET',
      path: `/host/${batch.kind}/execution/${id}/status`,
      timeoutMs: statusTimeoutMs,
    }).catch((error: unknown) => {
      if (error instanceof LabError && error.status === 404) return undefined
      throw error
    })
    // A host that is asked twice for its last word costs a second copy of the pictures, never a second end of the run.
    const last = answer && parseStatus(answer.body)
    const kept =
      last && (endOf(batch.kind, last) ? await keepEvidence(evidence, { run, target }, last) : { said: last, artifacts: [] })
    const known = kept && (answer.body.success !== false || answer.body.status !== undefined) ? kept : undefined
    const after = await inTransaction(db, (tx) =>
      known
        ? recordStatus(tx, batch, known.said, known.artifacts)
        : finishRun(
            tx,
            run.id,
            infrastructureEnd({
              code: 'host_restarted',
              message: 'The host no longer knows this execution; it has probably been restarted.',
            }),
          ),
    )
    if (!after || after.status === 'running') return true
    onEnded(after)
    if (after.error_code === 'lease_lost') cancelOnHost(after)
    return false
  }

  /** Asks the host now, unless somebody is just asking. Never rejects: a host that does not answer is asked again. */
  function look(runId: string): Promise<boolean> {
    const going = looking.get(runId)
    if (going) return going
    const one = ask(runId)
      .catch((error: unknown) => {
        log.debug({ err: error, run_id: runId }, 'a host did not say how far a batch is')
        return true
      })
      .finally(() => {
        looking.delete(runId)
        lookedAt.set(runId, performance.now())
      })
    looking.set(runId, one)
    return one
  }

  async function watch(runId: string, isAgent: boolean): Promise<void> {
    watched.add(runId)
    let wait = isAgent ? pauseMs.first : pauseMs.most
    try {
      while (!stopping.signal.aborted) {
        await pause(wait, undefined, { signal: stopping.signal, ref: false })
        if (!(await look(runId))) return
        wait = Math.min(pauseMs.most, wait * 1.5)
      }
    } catch (error) {
      if (!stopping.signal.aborted) log.debug({ err: error, run_id: runId }, 'a batch is left to the job')
    } finally {
      watched.delete(runId)
      lookedAt.delete(runId)
    }
  }

  const job: Job = {
    name: 'batches.watch',
    everyMs: 1000,
    leader: true,
    async run() {
      if (lookedAt.size > 1000) lookedAt.clear()
      const open = await listOpenBatches(db, startSeconds)
      // Nobody waits for one another: a host that hangs must not hold up the others.
      for (const { run_id } of open) if (!watched.has(run_id)) look(run_id).catch(() => undefined)
    },
  }

  return {
    watch: (runId: string, isAgent: boolean) => void watch(runId, isAgent),
    /** For a client that asks: fresh enough, at most one question to the host at a time and a few in a second. */
    async refresh(runId: string): Promise<void> {
      const last = lookedAt.get(runId)
      if (last === undefined || performance.now() - last > 300) await look(runId)
    },
    job,
    async stop() {
      stopping.abort()
      await Promise.race([Promise.allSettled(looking.values()), pause(statusTimeoutMs, undefined, { ref: false })])
    },
  }
}
export type BatchWatcher = ReturnType<typeof createBatchWatcher>
