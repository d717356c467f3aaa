import { setTimeout as pause } from 'node:timers/promises'
import { LabError, type RunErrorCode } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { sql } from 'kysely'
import { type Database, inTransaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'
import type { Job } from '../../jobs/runner.ts'
import { type HostAddress, type HostClient, hostAddress, neverReached } from '../hosts/index.ts'
import { assignNextRun, devicesWithWaitingRuns } from './assign-run.ts'
import { finishRun, infrastructureEnd } from './finish-run.ts'
import { startRun } from './record-progress.ts'
import { lockRun, type RunRow, runColumns, runOrder } from './run.store.ts'

const dispatchTimeoutMs = { agent: 10_000, original: 120_000 }
const settleMs = 5000

export interface Dispatcher {
  /** Sends an assigned run to its host in the background; the outcome is recorded. */
  dispatch: (runId: string) => void
  /** Tells the host of a run to stop it, in the background. */
  cancelOnHost: (run: RunRow) => void
  /** Gives free devices to waiting runs and sends them, in the background. */
  assignWaiting: () => void
  job: Job
  /** Waits for the calls that are under way, but not for a host that hangs: what is cut off is repeated by the next server. */
  settle: () => Promise<void>
}

export interface DispatcherOptions {
  db: Database
  log: FastifyBaseLogger
  hosts: HostClient
  apiKey: string | undefined
  onEnded: (run: RunRow) => void
  /** Where the host stops a run that is no script; undefined when it cannot. */
  batchCancelPath: (runId: string) => Promise<string | undefined>
}

/**
 * Sending a run is safe to repeat on our agents, which know a run by its id, and their beats ask for orders they never got.
 * An original host starts a script each time it is asked, so there `dispatched_at` is written first and it is asked once.
 */
export function createDispatcher({ db, log, hosts, apiKey, onEnded, batchCancelPath }: DispatcherOptions): Dispatcher {
  async function dispatch(runId: string): Promise<void> {
    try {
      const sending = await markDispatched(runId)
      if (sending) await send(sending.run, sending.address, sending.isAgent)
    } catch (error) {
      log.warn({ err: error, run_id: runId }, 'a run could not be sent; it is tried again')
    }
  }

  function markDispatched(runId: string): Promise<{ run: RunRow; address: HostAddress; isAgent: boolean } | undefined> {
    return inTransaction(db, async (tx) => {
      const run = await lockRun(tx, runId)
      if (run?.status !== 'assigned' || run.cancel_requested_at !== null) return undefined
      // On this transaction's connection: many dispatches at once would otherwise each hold one and wait for a second.
      const target = await readTarget(tx, run)
      if (!target || (!target.isAgent && run.dispatched_at !== null)) return undefined
      await sql`update runs set dispatched_at = now(), updated_at = now() where id = ${run.id}`.execute(tx.kysely)
      return { run, ...target }
    })
  }

  async function readTarget(from: Queryable, run: RunRow): Promise<{ address: HostAddress; isAgent: boolean } | undefined> {
    const host = await firstRow(
      from,
      sql<{
        name: string
        url: string | null
        api_url: string | null
        call_key: string | null
        agent: string | null
        link_only: boolean
      }>`
        select name, url, api_url, call_key, agent, link_only from hosts where id = ${run.host_id}`,
    )
    return host && { address: hostAddress(host, apiKey), isAgent: host.agent !== null }
  }

  async function send(run: RunRow, address: HostAddress, isAgent: boolean): Promise<void> {
    const fields = { run_id: run.id, host_name: run.host_name, device_id: run.device_key }
    try {
      const answer = await hosts.call(address, {
        method: 'POST',
        path: '/host/script/execute',
        query: { team_id: run.team_id, device_id: run.device_key },
        body: { ...runOrder(run) },
        timeoutMs: isAgent ? dispatchTimeoutMs.agent : dispatchTimeoutMs.original,
      })
      if (answer.status >= 200 && answer.status < 300) await confirm(run, isAgent)
      else await refuse(run, isAgent, answer.status, answer.body)
    } catch (error) {
      // An agent that could not be reached gets the order with its next beat, as long as the lease lives.
      if (!isAgent && (neverReached(error) || (error instanceof LabError && error.code === 'host_error'))) {
        await end(run, 'dispatch_failed', error instanceof Error ? error.message : 'The host could not be called.')
      }
      log.warn({ ...fields, err: error }, 'could not send a run to its host')
    }
  }

  /** Our agent reports the start itself; for an original host the accepted order is the start. */
  async function confirm(run: RunRow, isAgent: boolean): Promise<void> {
    await inTransaction(db, async (tx) => {
      const current = await lockRun(tx, run.id)
      if (current?.status !== 'assigned' || current.lease_token !== run.lease_token) return
      if (isAgent) await sql`update runs set dispatch_confirmed_at = now() where id = ${run.id}`.execute(tx.kysely)
      else await startRun(tx, current)
    })
  }

  async function refuse(run: RunRow, isAgent: boolean, status: number, body: Record<string, unknown>): Promise<void> {
    const text = typeof body.error === 'string' ? body.error : `The host answered ${status}.`
    if (status === 401) {
      await end(run, 'dispatch_failed', 'The host refused the key of this server: API_KEY differs between them.')
    } else if (status === 404) await end(run, 'script_not_found', text)
    else if (isAgent && (status === 409 || status === 503 || status === 429))
      log.warn({ run_id: run.id, status }, `the host does not take the run now: ${text}`)
    else await end(run, 'dispatch_failed', text)
  }

  async function end(run: RunRow, code: RunErrorCode, message: string): Promise<void> {
    const failure = infrastructureEnd({ code, message: message.slice(0, 1000) })
    const ended = await inTransaction(db, (tx) =>
      finishRun(tx, run.id, {
        ...failure,
        ...(code === 'script_not_found' && { failureClass: 'test' as const }),
        token: run.lease_token ?? undefined,
      }),
    )
    if (ended) onEnded(ended)
  }

  async function cancelOnHost(run: RunRow): Promise<void> {
    const target = await readTarget(db, run)
    if (!target?.isAgent) return
    const path = run.kind === 'batch' ? await batchCancelPath(run.id) : `/host/runs/${run.id}/cancel`
    if (path === undefined) return
    try {
      await hosts.call(target.address, {
        method: 'POST',
        path,
        body: { token: run.lease_token, reason: run.cancel_reason ?? run.error_message ?? 'cancelled' },
        timeoutMs: 5000,
      })
    } catch (error) {
      log.warn({ err: error, run_id: run.id, host_name: run.host_name }, 'could not tell the host to cancel; it is tried again')
    }
  }

  async function assignWaiting(): Promise<void> {
    const assigned = await inTransaction(db, async (tx) => {
      const runs: RunRow[] = []
      for (const deviceId of await devicesWithWaitingRuns(tx)) {
        const run = await assignNextRun(tx, deviceId)
        if (run) runs.push(run)
      }
      return runs
    })
    for (const run of assigned) call(run.id, () => dispatch(run.id))
  }

  /** The floor under the direct calls: what a lost wake, a killed server or a refused connection left behind. */
  const job: Job = {
    name: 'runs.dispatch',
    everyMs: 1000,
    leader: false,
    async run() {
      await assignWaiting()
      const left = await rowsOf(
        db,
        sql<RunRow>`
          select ${runColumns} from runs
           where (status = 'assigned' and dispatch_confirmed_at is null and cancel_requested_at is null
                  and (dispatched_at is null and assigned_at < now() - interval '2 seconds'
                       or dispatched_at < now() - interval '5 seconds'))
              or (status in ('assigned', 'running') and cancel_requested_at < now() - interval '3 seconds')
           limit 100`,
      )
      for (const run of left) {
        if (run.cancel_requested_at === null) call(run.id, () => dispatch(run.id))
        else call(`cancel ${run.id}`, () => cancelOnHost(run))
      }
    },
  }

  /** Calls under way, one of a kind per run. Nobody waits for them: a host that hangs must not hold up the other hosts. */
  const underWay = new Map<string, Promise<void>>()
  function call(what: string, work: () => Promise<void>): void {
    if (underWay.has(what)) return
    const done = work()
      .catch((error: unknown) => log.warn({ err: error, what }, 'a call for a run failed; the job repeats it'))
      .finally(() => underWay.delete(what))
    underWay.set(what, done)
  }

  return {
    dispatch: (runId) => call(runId, () => dispatch(runId)),
    cancelOnHost: (run) => call(`cancel ${run.id}`, () => cancelOnHost(run)),
    assignWaiting: () => call('assign', assignWaiting),
    job,
    async settle() {
      const patience = new AbortController()
      const all = (async () => {
        while (underWay.size > 0) await Promise.all(underWay.values())
      })()
      await Promise.race([all, pause(settleMs, undefined, { signal: patience.signal }).catch(() => undefined)])
      patience.abort()
    },
  }
}
