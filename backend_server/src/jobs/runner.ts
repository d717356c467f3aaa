import { performance } from 'node:perf_hooks'
import type { FastifyBaseLogger } from 'fastify'
import type { Database } from '../db/database.ts'
import { type LeaderTerm, releaseLeadership, takeLeadership } from './leader.ts'

export interface JobContext {
  db: Database
  log: FastifyBaseLogger
  signal: AbortSignal
  /** Seconds since this server became ready: nothing expires because the server itself was away. */
  readySeconds: number
  /** The term to write under; 0 for jobs that any server may run. */
  term: number
}

export interface Job {
  name: string
  everyMs: number
  /** Runs only on the leader, and gets its term. */
  leader: boolean
  /** Runs only once the server has been ready this long. */
  afterReadySeconds?: number
  /** Safe to run twice and to be cut off anywhere. */
  run: (context: JobContext) => Promise<void>
}

export interface JobRunnerOptions {
  db: Database
  log: FastifyBaseLogger
  jobs: readonly Job[]
  /** Unique per process. */
  holder: string
  renewMs?: number
  absenceMs?: number
  /** Jobs rest while this is false (the database is known to be away). */
  isEnabled?: () => boolean
}

/**
 * When no job succeeded for this long, the database was away or this process slept. Then nobody could renew anything, so
 * the time of grace begins anew. Shorter than a run's lease less one beat.
 */
const defaultAbsenceMs = 15_000

/** Starts the jobs of a ready server; each runs at its own pace, never twice at once. */
export function startJobs(options: JobRunnerOptions) {
  const { db, log, jobs, holder, renewMs = 5000, absenceMs = defaultAbsenceMs, isEnabled = () => true } = options
  const stopping = new AbortController()
  let readyAt = performance.now()
  let lastSuccess = readyAt
  const timers = new Set<NodeJS.Timeout>()
  const running = new Set<Promise<void>>()
  let leader: LeaderTerm | undefined

  function every(everyMs: number, name: string, work: () => Promise<void>): () => void {
    let current: Promise<void> | undefined
    let again = false
    const tick = (): void => {
      if (stopping.signal.aborted || !isEnabled()) return
      if (current) {
        again = true
        return
      }
      current = work()
        .catch((error: unknown) => {
          if (!stopping.signal.aborted) log.warn({ err: error, job: name }, 'job failed; it runs again')
        })
        .finally(() => {
          if (current) running.delete(current)
          current = undefined
          if (again) {
            again = false
            tick()
          }
        })
      running.add(current)
    }
    const timer = setInterval(tick, everyMs)
    timers.add(timer)
    tick()
    return tick
  }

  every(renewMs, 'leader', async () => {
    const before = leader?.term
    leader = await takeLeadership(db, holder)
    if (leader && leader.term !== before) log.info({ term: leader.term }, 'leads the background jobs')
  })

  /** Asked before and after a job: one that was under way when this process fell asleep ends after the absence. */
  function noteAbsence(): void {
    if (performance.now() - lastSuccess > absenceMs) readyAt = performance.now()
  }

  const wakes = new Map(
    jobs.map((job) => [
      job.name,
      every(job.everyMs, job.name, async () => {
        noteAbsence()
        const readySeconds = (performance.now() - readyAt) / 1000
        if (readySeconds < (job.afterReadySeconds ?? 0)) return
        const term = job.leader ? trustedTerm() : 0
        if (term === undefined) return
        await job.run({ db, log, signal: stopping.signal, readySeconds, term })
        noteAbsence()
        lastSuccess = performance.now()
      }),
    ]),
  )

  function trustedTerm(): number | undefined {
    return leader && performance.now() < leader.trustedUntil ? leader.term : undefined
  }

  return {
    /** Runs a job now, because something happened that it waits for. */
    wake: (name: string): void => wakes.get(name)?.(),
    isLeader: (): boolean => trustedTerm() !== undefined,
    async stop(): Promise<void> {
      stopping.abort()
      for (const timer of timers) clearInterval(timer)
      await Promise.allSettled(running)
      await releaseLeadership(db, holder).catch(() => undefined)
    },
  }
}
export type JobRunner = ReturnType<typeof startJobs>
