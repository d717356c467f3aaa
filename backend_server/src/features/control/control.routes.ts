import { randomUUID } from 'node:crypto'
import { controlRoutes, LabError } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { sql } from 'kysely'
import { type Database, inTransaction, type Transaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'
import type { Mount } from '../../http/mount.ts'
import { writeAudit } from '../audit/index.ts'
import { failureStatus, findHost, type HostClient, type HostRow, hostAddress } from '../hosts/index.ts'
import {
  type Holder,
  holderOf,
  type LeaseRow,
  listHeldLeases,
  ownsLease,
  readableHolder,
  readLease,
  releaseLeases,
  shownHolder,
  takeDevice,
} from '../leases/index.ts'
import type { RunRow } from '../runs/index.ts'

export interface ControlRouteOptions {
  db: Database
  hosts: HostClient
  apiKey: string | undefined
  authMode: 'open' | 'required'
  log: FastifyBaseLogger
  /** Ends these leases and cancels their runs; `tellHosts` is called with those runs after the commit. */
  takeAwayLeases: (
    tx: Transaction,
    leaseIds: readonly string[],
    end: { reason: string; by: string | null },
  ) => Promise<{ runs: RunRow[] }>
  tellHosts: (cancelled: readonly RunRow[]) => void
  lockedError: (lease: LeaseRow, options: { showAddress: boolean }) => LabError
  /** Why a device that nobody holds is not to be had. */
  notFreeError: (deviceStatus: string) => LabError
  /** Devices became free: waiting runs may start. */
  onFreed: () => void
}

const hostTimeoutMs = { take: 30_000, release: 10_000 }

interface TakeInput {
  device_id?: string | null | undefined
  purpose?: string | null | undefined
  wait: boolean
  priority: number
  holder: Holder
  showAddress: boolean
}
interface Taken {
  lease: LeaseRow
  isNew: boolean
}
interface Target {
  id: string
  device_key: string
}

export function mountControlRoutes(mount: Mount, options: ControlRouteOptions): void {
  const { db, hosts, log } = options
  const byAddress = options.authMode === 'open'

  mount(controlRoutes.takeControl, async ({ body, caller, reply }) => {
    const host = await findHost(db, caller.teamId, body.host_name)
    if (!host) throw new LabError('host_not_found', { text: `Host "${body.host_name}" not found`, errorType: 'device_not_found' })
    const holder = holderOf(caller, body)
    const input = { ...body, holder, showAddress: caller.role === 'admin' }
    if (body.wait && !body.device_id) {
      throw new LabError('validation_error', { text: 'Waiting is for one device: name it in device_id.' })
    }
    const taken = await inTransaction(db, (tx) => takeDevices(tx, host, input))
    if ('waiting' in taken) {
      void reply.code(202)
      return showPlace(host, taken.waiting)
    }
    // Original hosts know no "all devices"; they are asked for the one they would take themselves.
    const keys = taken.map(({ lease }) => lease.device_key)
    const deviceId = body.device_id ?? (keys.includes('device1') ? 'device1' : keys[0])
    const result = await callHost(host, deviceId ?? 'device1').catch(async (error: unknown) => {
      await giveBack(taken)
      throw withHostResult(error)
    })
    const warning = typeof result.warning === 'string' ? result.warning : null
    // This server stores no navigation trees, so a host that needs one has to have it already: said, not passed over.
    const noTree = body.tree_id ? 'This server stores no navigation trees: the tree was not sent to the host.' : null
    return {
      success: true,
      message: `Took control of ${body.device_id ?? 'all devices'} on ${host.name}`,
      session_id: body.session_id || randomUUID(),
      host_name: host.name,
      device_id: body.device_id ?? null,
      host_result: result,
      cache_ready: noTree === null,
      warning: [warning, noTree].filter(Boolean).join(' ') || null,
      leases: taken.map(({ lease }) => ({
        lease_id: lease.id,
        device_id: lease.device_key,
        token: lease.token,
        expires_at: lease.expires_at,
      })),
    }
  })

  async function showPlace(host: HostRow, lease: LeaseRow) {
    const shown = await readLease(db, lease.id)
    const position = shown.position ?? 1
    return {
      success: true as const,
      waiting: true as const,
      message: `Number ${position} in the line for ${host.name}:${lease.device_key}`,
      host_name: host.name,
      device_id: lease.device_key,
      position,
      lease: shown,
    }
  }

  /** All devices or none: a refusal rolls the transaction back, and with it what was taken before. */
  async function takeDevices(tx: Transaction, host: HostRow, input: TakeInput): Promise<Taken[] | { waiting: LeaseRow }> {
    const taken: Taken[] = []
    for (const device of await readTargets(tx, host, input.device_id)) {
      const outcome = await takeDevice(tx, { ...input, teamId: host.team_id, deviceId: device.id, byAddress })
      if (outcome.kind === 'waiting') return { waiting: outcome.lease }
      if (outcome.kind === 'locked') throw options.lockedError(outcome.lease, { showAddress: input.showAddress })
      if (outcome.kind === 'unavailable') throw options.notFreeError(outcome.status)
      taken.push(outcome)
    }
    return taken
  }

  async function readTargets(tx: Transaction, host: HostRow, deviceKey: string | null | undefined): Promise<Target[]> {
    const devices = await rowsOf(
      tx,
      sql<Target>`
        select id, device_key from devices
         where host_id = ${host.id} and present
           -- "all devices" are those in use; one in maintenance is refused only when it is meant
           and (device_key = ${deviceKey ?? null} or ${deviceKey ?? null}::text is null and status not in ('maintenance', 'retired'))
         order by id`,
    )
    if (devices.length === 0) {
      throw new LabError('device_not_found', {
        text: `Device "${deviceKey ?? ''}" not found on host "${host.name}"`,
        errorType: 'device_not_found',
      })
    }
    return devices
  }

  async function callHost(host: HostRow, deviceId: string): Promise<Record<string, unknown>> {
    const answer = await hosts.call(hostAddress(host, options.apiKey), {
      method: 'POST',
      path: '/host/takeControl',
      query: { team_id: host.team_id, device_id: deviceId },
      body: { host_name: host.name, device_id: deviceId, team_id: host.team_id },
      timeoutMs: hostTimeoutMs.take,
    })
    if (answer.status >= 200 && answer.status < 300 && answer.body.success !== false) return answer.body
    // A 401 of the host is a wrong setting between two machines; passed on as such it would sign the person out.
    const text =
      answer.status === 401
        ? 'The host refused the key of this server: API_KEY differs between them.'
        : typeof answer.body.error === 'string'
          ? answer.body.error
          : `The host answered ${answer.status}.`
    throw new LabError('host_error', {
      text,
      errorType: 'host_error',
      status: failureStatus(answer.status),
      extra: { host_result: answer.body },
    })
  }

  async function giveBack(taken: readonly Taken[]): Promise<void> {
    const fresh = taken.filter((one) => one.isNew).map((one) => one.lease.id)
    await inTransaction(db, (tx) => releaseLeases(tx, fresh, { reason: 'the host did not give control' }))
    options.onFreed()
  }

  mount(controlRoutes.releaseControl, async ({ body, caller }) => {
    const host = await findHost(db, caller.teamId, body.host_name)
    if (!host) return { success: true, message: 'Nothing to release', host_notification: 'host_not_found' }
    const holder = holderOf(caller, body)
    const { foreign } = await inTransaction(db, async (tx) => {
      const held = await listHeldLeases(tx, { teamId: caller.teamId, hostName: host.name, deviceKey: body.device_id })
      if (body.token !== undefined && !held.some((lease) => lease.token === body.token)) throw new LabError('stale_token')
      const own = held.filter((lease) => ownsLease(lease, holder, byAddress))
      await releaseLeases(
        tx,
        own.map((lease) => lease.id),
        { reason: 'given back', by: holder.name ?? holder.id },
      )
      return { foreign: own.length === 0 ? held[0] : undefined }
    })
    if (foreign) {
      const text = `Device is locked by ${shownHolder(foreign)}`
      return { success: false, message: text, error: text, host_notification: 'in_progress' }
    }
    options.onFreed()
    notifyRelease(host, body.device_id)
    return { success: true, message: 'Control released', host_notification: 'in_progress' }
  })

  /** The host need not know to give back; it is told in the background. */
  function notifyRelease(host: HostRow, deviceKey: string | null | undefined): void {
    if (host.status !== 'online') return
    hosts
      .call(hostAddress(host, options.apiKey), {
        method: 'POST',
        path: '/host/releaseControl',
        body: { host_name: host.name, device_id: deviceKey ?? 'device1' },
        timeoutMs: hostTimeoutMs.release,
      })
      .catch((error: unknown) => log.debug({ err: error, host_name: host.name }, 'the host was not told of a release'))
  }

  mount(controlRoutes.lockedDevices, async ({ caller }) => {
    const held = await listHeldLeases(db, { teamId: caller.teamId })
    const locks = held.map((lease) => ({
      ...lockTimes(lease),
      lockedIp: addressFor(caller, lease),
      hostName: lease.host_name,
      deviceId: lease.device_key,
    }))
    return {
      success: true,
      locked_devices: Object.fromEntries([
        // A host counts as locked by whoever has one of its devices the longest: of one key the last entry is left.
        ...locks.toReversed().map((lock) => [lock.hostName, lock]),
        ...locks.map((lock) => [`${lock.hostName}:${lock.deviceId}`, lock]),
      ]),
    }
  })

  mount(controlRoutes.checkLock, async ({ body, caller }) => {
    const [lease] = await listHeldLeases(db, { teamId: caller.teamId, hostName: body.host_name, deviceKey: body.device_id })
    if (!lease) return { success: true, is_locked: false, lock_info: null }
    return {
      success: true,
      is_locked: true,
      lock_info: { isLocked: true, ...lockTimes(lease), lockedIp: addressFor(caller, lease) },
    }
  })

  mount(controlRoutes.forceUnlock, async ({ body, caller, request }) => {
    const host = await findHost(db, caller.teamId, body.host_name)
    if (!host) throw new LabError('host_not_found', { text: `Host "${body.host_name}" not found`, errorType: 'device_not_found' })
    const reason = body.reason ?? 'forced unlock'
    const { count, runs } = await inTransaction(db, async (tx) => {
      const held = await listHeldLeases(tx, { teamId: caller.teamId, hostName: host.name, deviceKey: body.device_id })
      const taken = await options.takeAwayLeases(
        tx,
        held.map((lease) => lease.id),
        { reason, by: caller.name ?? caller.ip },
      )
      await writeAudit(tx, {
        caller,
        action: 'lease.force_unlock',
        targetKind: 'host',
        targetId: host.name,
        reason,
        requestId: request.id,
        details: { device_id: body.device_id ?? null, holders: held.map(shownHolder) },
      })
      return { count: held.length, runs: taken.runs }
    })
    options.tellHosts(runs)
    options.onFreed()
    return { success: true, message: count === 0 ? 'Nothing was locked' : `Unlocked ${count} device(s)` }
  })
}

/** Where somebody works from is for them and for administrators. */
const addressFor = (caller: Caller, lease: LeaseRow): string | null =>
  caller.role === 'admin' || ownsLease(lease, holderOf(caller, {}), false) ? lease.holder_ip : null

/** The web app reads what the host said beside every failure, also where the host said nothing. */
function withHostResult(error: unknown): unknown {
  if (!(error instanceof LabError) || error.extra.host_result !== undefined) return error
  const { code, message, status, errorType, extra, cause } = error
  const result = { success: false, error: message, ...(errorType && { errorType }) }
  return new LabError(code, { text: message, status, errorType, extra: { ...extra, host_result: result }, cause })
}

function lockTimes(lease: LeaseRow): { lockedBy: string; lockedByName: string; lockedAt: number; lockedDuration: number } {
  const lockedAt = Date.parse(lease.granted_at) / 1000
  return {
    lockedBy: shownHolder(lease),
    lockedByName: readableHolder(lease),
    lockedAt,
    lockedDuration: Math.max(0, Date.now() / 1000 - lockedAt),
  }
}
