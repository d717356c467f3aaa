import { randomUUID } from 'node:crypto'
import { defaultTeamId, LabError, type RunOrder } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { pino } from 'pino'
import { type Database, inTransaction } from '../../../src/db/database.ts'
import { firstRow, rowsOf } from '../../../src/db/query.ts'
import { changeDeviceStatus, findDevice } from '../../../src/features/devices/device-status.store.ts'
import { registerHost } from '../../../src/features/hosts/host.store.ts'
import type { HostClient } from '../../../src/features/hosts/host-client.ts'
import { markHostsOfflineJob } from '../../../src/features/hosts/mark-hosts-offline.job.ts'
import { unregisterHost } from '../../../src/features/hosts/unregister-host.ts'
import { createBeatWriter } from '../../../src/features/hosts/write-beats.ts'
import {
  type AskRow,
  answerAsk,
  askHolder,
  beatLease,
  claimDevice,
  expireLeasesJob,
  extendLease,
  grantWaitingJob,
  type Holder,
  type LeaseRow,
  type LeaseUse,
  leaveLease,
  lockHeldLease,
  releaseLeases,
  renewLease,
  type TakeOutcome,
  takeDevice,
  usualPriority,
} from '../../../src/features/leases/index.ts'
import { cancelRun } from '../../../src/features/runs/cancel-run.ts'
import { completeTask } from '../../../src/features/runs/complete-task.ts'
import { createDispatcher } from '../../../src/features/runs/dispatch-run.ts'
import { endRunsOfHost } from '../../../src/features/runs/finish-run.ts'
import { recordProgress } from '../../../src/features/runs/record-progress.ts'
import { renewRuns } from '../../../src/features/runs/renew-runs.ts'
import type { RunRow } from '../../../src/features/runs/run.store.ts'
import { submitRun } from '../../../src/features/runs/submit-run.ts'
import { sweepRunsJob } from '../../../src/features/runs/sweep-runs.job.ts'
import { takeAwayLeases } from '../../../src/features/runs/take-away-leases.ts'
import type { Caller } from '../../../src/http/caller.ts'
import { takeLeadership } from '../../../src/jobs/leader.ts'

/*
 * The operations of the model test: the product's own functions on a real database, one transaction each. Only the call to a
 * host is replaced, because the hosts of this test are entries in a table: `reachable` says which of them answer.
 */

export interface WorldDevice {
  id: string
  key: string
  host: WorldHost
}
export interface WorldHost {
  id: string
  name: string
  isAgent: boolean
  devices: WorldDevice[]
}

export interface Submit {
  device: WorldDevice
  user: string
  queue: boolean
  retries: number
  priority: number
  key: string | null
}

export type Outcome = 'passed' | 'failed' | 'error' | 'cancelled'
export type World = Awaited<ReturnType<typeof createWorld>>

export const runTimeoutSeconds = 120
export const queueTimeoutSeconds = 400

const hostCaller: Caller = {
  kind: 'host',
  teamId: defaultTeamId,
  role: 'viewer',
  tokenId: null,
  name: null,
  ip: '127.0.0.1',
  hostName: null,
  hostKeyProven: true,
}

export async function createWorld(db: Database, options: { agents: number; originals: number; devicesPerHost: number }) {
  const log = pino({ level: 'silent' })
  // The model asks again at once; how often people may is a matter of its own (ask-holder.test.ts).
  await sql`update teams set settings = '{"leases": {"ask_again_seconds": 0}}'`.execute(db.kysely)
  const hosts: WorldHost[] = []
  for (let index = 0; index < options.agents + options.originals; index += 1) {
    hosts.push(await addHost(db, `lab-${index + 1}`, index < options.agents, options.devicesPerHost))
  }
  /** Hosts that answer calls, and what they were asked to start. */
  const reachable = new Set(hosts.map((host) => host.name))
  const started: RunOrder[] = []
  const client: HostClient = {
    async call(host, call) {
      if (!reachable.has(host.hostName)) {
        throw new LabError('host_unreachable', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) })
      }
      if (call.path === '/host/script/execute') started.push(call.body as unknown as RunOrder)
      return { status: 202, body: { success: true } }
    },
    close: () => undefined,
  }
  const dispatcher = createDispatcher({
    db,
    log,
    hosts: client,
    apiKey: undefined,
    onEnded: () => undefined,
    batchCancelPath: () => Promise.resolve(undefined),
  })
  const writeBeat = createBeatWriter(db, renewRuns)
  const ended: RunRow[] = []
  const jobs = [
    sweepRunsJob({ everyMs: 1, graceSeconds: 0, onEnded: (run) => void ended.push(run), cancelOnHost: () => undefined }),
    expireLeasesJob({ everyMs: 1, graceSeconds: 0 }),
    markHostsOfflineJob({ everyMs: 1, graceSeconds: 0 }),
  ]

  return {
    hosts,
    devices: hosts.flatMap((host) => host.devices),
    reachable,
    /** Orders that reached a host since the last call. */
    takeStarted: (): RunOrder[] => started.splice(0),

    claim: (device: WorldDevice, user: string): Promise<LeaseRow | undefined> =>
      inTransaction(db, (tx) =>
        claimDevice(tx, { teamId: defaultTeamId, deviceId: device.id, holder: { kind: 'user', id: user, name: null, ip: null } }),
      ),
    renew: (leaseId: string): Promise<LeaseRow | undefined> => inTransaction(db, (tx) => renewLease(tx, leaseId)),
    release: (leaseId: string): Promise<LeaseRow[]> =>
      inTransaction(db, (tx) => releaseLeases(tx, [leaseId], { reason: 'given back', by: 'test' })),
    heldLease: (deviceId: string): Promise<LeaseRow | undefined> => inTransaction(db, (tx) => lockHeldLease(tx, deviceId)),
    takeAway: (leaseIds: string[]): Promise<{ leases: LeaseRow[]; runs: RunRow[] }> =>
      inTransaction(db, (tx) => takeAwayLeases(tx, leaseIds, { reason: 'needed elsewhere', by: 'test' })),

    take: (device: WorldDevice, input: { user: string; wait: boolean; priority: number }): Promise<TakeOutcome> =>
      inTransaction(db, (tx) =>
        takeDevice(tx, { teamId: defaultTeamId, deviceId: device.id, holder: person(input.user), byAddress: false, ...input }),
      ),
    requestedAt: async (leaseId: string): Promise<string> =>
      (await firstRow(db, sql<{ at: string }>`select requested_at as at from leases where id = ${leaseId}`))?.at ?? '',
    heartbeat: (id: string, user: string, active: boolean): Promise<LeaseRow | string> =>
      codeOf(inTransaction(db, (tx) => beatLease(tx, { ...useOf(id, user), active, secondsAgo: 0 }))),
    extend: (id: string, user: string, seconds: number): Promise<LeaseRow | string> =>
      codeOf(inTransaction(db, (tx) => extendLease(tx, { ...useOf(id, user), seconds }))),
    leave: (id: string, user: string): Promise<string> =>
      codeOf(inTransaction(db, (tx) => leaveLease(tx, useOf(id, user))).then(() => 'left')),
    ask: (device: WorldDevice, user: string): Promise<{ ask: AskRow; waiting: LeaseRow } | string> =>
      codeOf(
        inTransaction(db, (tx) =>
          askHolder(tx, {
            teamId: defaultTeamId,
            deviceId: device.id,
            asker: person(user),
            byAddress: false,
            message: 'may I?',
            priority: usualPriority,
          }),
        ),
      ),
    answer: (askId: string, user: string, give: boolean): Promise<AskRow | string> =>
      codeOf(inTransaction(db, (tx) => answerAsk(tx, { ...useOf(askId, user), give, message: null }))),
    grantWaiting: (): Promise<void> =>
      grantWaitingJob({ everyMs: 1 }).run({
        db,
        log,
        term: 0,
        signal: new AbortController().signal,
        readySeconds: Number.MAX_SAFE_INTEGER,
      }),
    setStatus: (device: WorldDevice, wanted: 'available' | 'maintenance', force: boolean) =>
      codeOf(
        inTransaction(db, async (tx) => {
          const row = await findDevice(tx, { teamId: defaultTeamId, hostName: device.host.name, deviceKey: device.key })
          if (!row) throw new Error('the device is gone')
          return changeDeviceStatus(tx, row, { wanted, reason: 'model', actor: 'test', force }, takeAwayLeases)
        }),
      ),

    submit: (input: Submit): Promise<RunRow | string> =>
      codeOf(
        inTransaction(db, async (tx) => {
          const { device } = input
          const { run } = await submitRun(tx, {
            teamId: defaultTeamId,
            device: {
              id: device.id,
              key: device.key,
              name: null,
              model: null,
              hostId: device.host.id,
              hostName: device.host.name,
            },
            scriptName: 'zapping',
            parameters: '',
            requestedBy: input.user,
            holder: { kind: 'user', id: input.user, name: null, ip: null },
            ownerByAddress: false,
            token: undefined,
            queue: input.queue,
            queueTimeoutSeconds,
            timeoutSeconds: runTimeoutSeconds,
            retries: input.retries,
            priority: input.priority,
            idempotencyKey: input.key,
          })
          return run
        }),
      ),
    async dispatch(runId: string): Promise<void> {
      dispatcher.dispatch(runId)
      await dispatcher.settle()
    },
    async assignWaiting(): Promise<void> {
      dispatcher.assignWaiting()
      await dispatcher.settle()
    },
    cancel: (runId: string): Promise<RunRow | string> =>
      codeOf(inTransaction(db, (tx) => cancelRun(tx, { runId, teamId: defaultTeamId, reason: 'not needed' }))),

    beat: (host: WorldHost, leases: { device_id: string; token: number; run_id: string }[]) =>
      writeBeat(hostCaller, {
        host_name: host.name,
        ...(host.isAgent && { ping_interval_s: 10, leases }),
      }),
    unregister: (host: WorldHost): Promise<void> =>
      inTransaction(db, (tx) => unregisterHost(tx, hostCaller, { host_name: host.name }, endRunsOfHost)),
    progress: (hostName: string, runId: string, token: number): Promise<{ cancel: boolean } | string> =>
      codeOf(
        inTransaction(db, (tx) =>
          recordProgress(tx, {
            runId,
            caller: hostCaller,
            body: {
              host_name: hostName,
              token,
              started: true,
              steps: [{ position: 1, kind: 'block', name: 'step', started_at: new Date().toISOString() }],
            },
          }),
        ),
      ),
    complete: (input: { hostName: string; runId: string; token: number | undefined; outcome: Outcome }) =>
      codeOf(
        completeTask(db, hostCaller, {
          task_id: input.runId,
          ...(input.token !== undefined && { host_name: input.hostName, token: input.token }),
          result: {
            exit_code: input.outcome === 'passed' ? 0 : 1,
            outcome: input.outcome,
            script_success: input.outcome === 'passed',
          },
        }).then(({ accepted }) => (accepted ? 'accepted' : 'kept as evidence')),
      ),

    /** The background jobs of one leader, one after the other. Returns the runs they ended. */
    async sweep(term: number): Promise<RunRow[]> {
      for (const job of jobs) {
        await job.run({ db, log, term, signal: new AbortController().signal, readySeconds: Number.MAX_SAFE_INTEGER })
      }
      return ended.splice(0)
    },
    async takeLead(holder: string): Promise<number | undefined> {
      return (await takeLeadership(db, holder))?.term
    },
    /** Another server's lead begins: the present term is over. */
    async depose(): Promise<void> {
      await sql`update leader_leases set expires_at = now()`.execute(db.kysely)
    },
    /** Time goes by: everything that is open moves into the past. */
    async tick(seconds: number): Promise<void> {
      await inTransaction(db, async (tx) => {
        const by = sql`make_interval(secs => ${seconds})`
        // In the order in which the product locks: hosts, runs, leases.
        await sql`update hosts set last_seen_at = last_seen_at - ${by} where id in (select id from hosts order by id for no key update)`.execute(
          tx.kysely,
        )
        await sql`
          update runs set queued_at = queued_at - ${by}, assigned_at = assigned_at - ${by}, alive_until = alive_until - ${by},
                          deadline_at = deadline_at - ${by}, cancel_requested_at = cancel_requested_at - ${by}
           where id in (select id from runs where status in ('queued', 'assigned', 'running') order by id for no key update)`.execute(
          tx.kysely,
        )
        await sql`
          update leases set expires_at = expires_at - ${by}, requested_at = requested_at - ${by}, granted_at = granted_at - ${by},
                            last_activity_at = last_activity_at - ${by}, kept_until = kept_until - ${by}
           where id in (select id from leases where status in ('held', 'waiting') order by id for no key update)`.execute(
          tx.kysely,
        )
        await sql`
          update lease_asks set asked_at = asked_at - ${by}, answer_by = answer_by - ${by} where status = 'open'`.execute(
          tx.kysely,
        )
      })
    },
    /** The next attempt after a run, if there is one. */
    retryOf: (runId: string): Promise<{ id: string; queued_at: string } | undefined> =>
      firstRow(db, sql<{ id: string; queued_at: string }>`select id, queued_at from runs where retry_of = ${runId}`),
    async readState() {
      return {
        devices: await rowsOf(db, sql<{ id: string; status: string; fence: number }>`select id, status, fence from devices`),
        leases: await rowsOf(
          db,
          sql<{ id: string; device_id: string; token: number; holder_id: string; beats: boolean; expires_at: string }>`
            select id, device_id, token, holder_id, beats, expires_at from leases where status = 'held'`,
        ),
        places: await rowsOf(
          db,
          sql<{ id: string; device_id: string; holder_id: string; priority: number }>`
            select id, device_id, holder_id, priority from leases where status = 'waiting'`,
        ),
        asks: await rowsOf(db, sql<{ id: string; status: string }>`select id, status from lease_asks`),
        runs: await rowsOf(
          db,
          sql<{ id: string; status: string; lease_token: number | null; attempt: number }>`
            select id, status, lease_token, attempt from runs`,
        ),
        hosts: await rowsOf(db, sql<{ id: string; status: string }>`select id, status from hosts`),
      }
    },
  }
}

const person = (user: string): Holder => ({ kind: 'user', id: user, name: null, ip: null })
const useOf = (id: string, user: string): LeaseUse => ({ id, teamId: defaultTeamId, holder: person(user), byAddress: false })

async function addHost(db: Database, name: string, isAgent: boolean, devices: number): Promise<WorldHost> {
  const keys = Array.from({ length: devices }, (_, index) => `device${index + 1}`)
  const row = await inTransaction(db, (tx) =>
    registerHost(tx, hostCaller, {
      host_name: name,
      host_url: 'http://127.0.0.1:9',
      devices: keys.map((key) => ({ device_id: key })),
      ...(isAgent && { agent: 'model', protocol: 1, ping_interval_s: 10, boot_id: randomUUID(), call_key: 'k'.repeat(32) }),
    }),
  )
  const host: WorldHost = { id: row.id, name, isAgent, devices: [] }
  const rows = await rowsOf(
    db,
    sql<{ id: string; device_key: string }>`select id, device_key from devices where host_id = ${row.id}`,
  )
  host.devices = rows.map((device) => ({ id: device.id, key: device.device_key, host }))
  return host
}

/** A refusal is an outcome to compare, not a failure of the test; anything else is. */
async function codeOf<T>(work: Promise<T>): Promise<T | string> {
  try {
    return await work
  } catch (error) {
    if (error instanceof LabError && error.status >= 400 && error.code !== 'database_unavailable') return error.code
    throw error
  }
}
