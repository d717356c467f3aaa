import type { Outcome, Submit, WorldDevice, WorldHost } from './world.ts'
import { queueTimeoutSeconds, runTimeoutSeconds } from './world.ts'

/*
 * What leases and runs are meant to do, in as few words as possible and without a database: the tests compare the product
 * with it after every operation. Times are milliseconds of the wall clock; `settle` in the driver keeps every comparison of
 * times far from its border, so that the model and the database cannot honestly disagree.
 */

const second = 1000
const personSeconds = 300
const beatLeaseSeconds = 30

export interface MLease {
  id: string
  device: MDevice
  holder: string
  isRun: boolean
  token: number
  expiresAt: number
}
export interface MDevice {
  world: WorldDevice
  host: MHost
  status: 'available' | 'leased' | 'offline'
  fence: number
  lease: MLease | undefined
}
export interface MHost {
  world: WorldHost
  isOnline: boolean
  lastSeenAt: number
  devices: MDevice[]
  /** Runs this host has, with their tokens: what its next beat will name. */
  has: Map<string, number>
}
export interface MRun {
  id: string
  device: MDevice
  status: 'queued' | 'assigned' | 'running' | Outcome
  priority: number
  queuedAt: string
  attempt: number
  retries: number
  deadlineAt: number
  aliveUntil: number
  assignedAt: number
  cancelAt: number | undefined
  isDispatched: boolean
  lease: MLease | undefined
  token: number | undefined
  hasResult: boolean
  errorCode: string | undefined
  /** Ended by infrastructure with attempts left: the next one must be there. */
  mustRetry: boolean
}

export const isOpen = (run: MRun): boolean => run.status === 'queued' || isWithHost(run)
export const isWithHost = (run: MRun): boolean => run.status === 'assigned' || run.status === 'running'

export type Reference = ReturnType<typeof createReference>

export function createReference(hosts: readonly WorldHost[], now: number) {
  const devices: MDevice[] = []
  const model: MHost[] = hosts.map((world) => {
    const host: MHost = { world, isOnline: true, lastSeenAt: now, devices: [], has: new Map() }
    host.devices = world.devices.map((device) => ({ world: device, host, status: 'available', fence: 0, lease: undefined }))
    devices.push(...host.devices)
    return host
  })
  const runs = new Map<string, MRun>()
  /** Leases by id, also ended ones, which are what a holder that slept still believes in. */
  const leases = new Map<string, MLease>()
  const keys = new Map<string, { run: MRun; input: Submit }>()

  const isHeld = (lease: MLease): boolean => lease.device.lease === lease
  const openRuns = (): MRun[] => [...runs.values()].filter(isOpen)
  const openRunOn = (lease: MLease): MRun | undefined => openRuns().find((run) => run.lease === lease && isWithHost(run))

  function grant(device: MDevice, holder: string, isRun: boolean, now_: number): MLease | undefined {
    if (device.status !== 'available') return undefined
    device.status = 'leased'
    device.fence += 1
    const seconds = isRun ? beatLeaseSeconds : personSeconds
    const lease: MLease = { id: '', device, holder, isRun, token: device.fence, expiresAt: now_ + seconds * second }
    device.lease = lease
    return lease
  }

  function endLease(lease: MLease): void {
    if (!isHeld(lease)) return
    lease.device.lease = undefined
    if (lease.device.status === 'leased') lease.device.status = 'available'
  }

  /** The lease of a run is known by its token until the database has told its id. */
  function assign(run: MRun, lease: MLease, now_: number): void {
    const beats = run.device.host.world.isAgent
    run.status = 'assigned'
    run.lease = lease
    run.token = lease.token
    run.assignedAt = now_
    run.deadlineAt = now_ + (runTimeoutSeconds + (beats ? 0 : 300)) * second
    run.aliveUntil = now_ + (beats ? beatLeaseSeconds : runTimeoutSeconds + 300) * second
    lease.expiresAt = Math.max(lease.expiresAt, run.aliveUntil)
  }

  function assignNext(device: MDevice, now_: number): MRun | undefined {
    const [next] = openRuns()
      .filter((run) => run.device === device && run.status === 'queued' && run.cancelAt === undefined)
      .toSorted(
        (one, other) => other.priority - one.priority || compare(one.queuedAt, other.queuedAt) || compare(one.id, other.id),
      )
    const lease = next && grant(device, next.id, true, now_)
    if (!next || !lease) return undefined
    assign(next, lease, now_)
    return next
  }

  function finish(run: MRun, status: Outcome, now_: number, end: { code?: string; isInfrastructure?: boolean } = {}): void {
    run.status = status
    run.errorCode = end.code
    if (run.lease?.isRun && run.lease.holder === run.id) endLease(run.lease)
    else if (run.lease && isHeld(run.lease)) run.lease.expiresAt = now_ + personSeconds * second
    run.mustRetry = status === 'error' && end.isInfrastructure === true && run.retries > 0
  }

  function store(input: Submit, row: { id: string; queued_at: string }, now_: number): MRun {
    const device = deviceOf(input.device.id)
    const run: MRun = {
      id: row.id,
      device,
      status: 'queued',
      priority: input.priority,
      queuedAt: row.queued_at,
      attempt: 1,
      retries: input.retries,
      deadlineAt: now_ + queueTimeoutSeconds * second,
      aliveUntil: Number.POSITIVE_INFINITY,
      assignedAt: 0,
      cancelAt: undefined,
      isDispatched: false,
      lease: undefined,
      token: undefined,
      hasResult: false,
      errorCode: undefined,
      mustRetry: false,
    }
    runs.set(run.id, run)
    if (input.key !== null) keys.set(input.key, { run, input })
    return run
  }

  function deviceOf(id: string): MDevice {
    const device = devices.find((one) => one.world.id === id)
    if (!device) throw new Error(`the model knows no device ${id}`)
    return device
  }

  return {
    hosts: model,
    devices,
    runs,
    leases,
    keys,
    deviceOf,
    isHeld,
    openRuns,
    openRunOn,
    claim: (deviceId: string, user: string, now_: number): MLease | undefined => grant(deviceOf(deviceId), user, false, now_),
    renew(lease: MLease, now_: number): boolean {
      if (!isHeld(lease)) return false
      lease.expiresAt = Math.max(lease.expiresAt, now_ + personSeconds * second)
      return true
    },
    /** A lease that an open run borrows stays, as the run's. */
    release(lease: MLease): boolean {
      const run = isHeld(lease) ? openRunOn(lease) : undefined
      if (run) Object.assign(lease, { holder: run.id, isRun: true })
      if (run || !isHeld(lease)) return false
      endLease(lease)
      return true
    },
    takeAway(lease: MLease, now_: number): void {
      const run = openRunOn(lease)
      if (run) finish(run, 'cancelled', now_)
      endLease(lease)
    },
    /** What a submit must answer when it stores nothing; undefined when it stores a run. */
    refusalOf(input: Submit): string | undefined {
      const device = deviceOf(input.device.id)
      if (input.queue || device.status === 'available') return undefined
      if (device.lease && !device.lease.isRun && device.lease.holder === input.user && !openRunOn(device.lease)) return undefined
      return device.lease ? 'device_locked' : device.status === 'offline' ? 'host_offline' : 'device_locked'
    },
    submit(input: Submit, row: { id: string; queued_at: string }, now_: number): MRun {
      const run = store(input, row, now_)
      if (input.queue) assignNext(run.device, now_)
      else {
        const lease = grant(run.device, run.id, true, now_) ?? run.device.lease
        if (lease) assign(run, lease, now_)
      }
      return run
    },
    /** Every free device gets the run that is next on it; these are sent at once. */
    assignWaiting: (now_: number): MRun[] => devices.flatMap((device) => assignNext(device, now_) ?? []),
    /** Sending an order. `answers`: the host takes calls. Returns whether the order reached it. */
    dispatch(run: MRun, answers: boolean, now_: number): boolean {
      const { isAgent } = run.device.host.world
      if (run.status !== 'assigned' || run.cancelAt !== undefined || (!isAgent && run.isDispatched)) return false
      run.isDispatched = true
      if (answers) {
        if (!isAgent) run.status = 'running'
        return true
      }
      if (!isAgent) finish(run, 'error', now_, { code: 'dispatch_failed', isInfrastructure: true })
      return false
    },
    progress(run: MRun, token: number): 'stale_token' | { cancel: boolean } {
      if (!isWithHost(run) || run.token !== token) return 'stale_token'
      run.status = 'running'
      return { cancel: run.cancelAt !== undefined }
    },
    complete(run: MRun, token: number | undefined, outcome: Outcome, now_: number): string {
      if (run.device.host.world.isAgent && (token === undefined || run.token !== token)) return 'stale_token'
      if (isWithHost(run)) {
        const end = run.cancelAt !== undefined && outcome === 'error' ? 'cancelled' : outcome
        run.hasResult = true
        finish(run, end, now_, end === 'error' ? { code: 'host_error', isInfrastructure: true } : {})
        return 'accepted'
      }
      if (token === undefined) return 'kept as evidence'
      return run.hasResult && run.status === outcome ? 'accepted' : 'stale_token'
    },
    cancel(run: MRun, now_: number): string {
      if (!isOpen(run)) return 'run_finished'
      if (run.status === 'queued' || (run.status === 'assigned' && !run.isDispatched)) finish(run, 'cancelled', now_)
      else run.cancelAt ??= now_
      return run.status
    },
    beat(host: MHost, named: ReadonlyMap<string, number>, now_: number): { lost: string[]; orders: string[] } {
      const renewed = new Set<string>()
      const lost: string[] = []
      for (const [id, token] of host.world.isAgent ? named : []) {
        const run = runs.get(id)
        if (run && run.device.host === host && isWithHost(run) && run.token === token) {
          run.aliveUntil = now_ + beatLeaseSeconds * second
          if (run.lease && isHeld(run.lease))
            run.lease.expiresAt = Math.max(run.lease.expiresAt, now_ + beatLeaseSeconds * second)
          renewed.add(id)
        } else lost.push(id)
      }
      host.lastSeenAt = now_
      host.isOnline = true
      for (const device of host.devices) if (device.status === 'offline') device.status = device.lease ? 'leased' : 'available'
      const orders = openRuns().filter(
        (run) =>
          run.device.host === host &&
          host.world.isAgent &&
          run.status === 'assigned' &&
          run.cancelAt === undefined &&
          !renewed.has(run.id) &&
          run.assignedAt < now_ - 2 * second &&
          run.aliveUntil > now_,
      )
      return { lost, orders: orders.map((run) => run.id) }
    },
    unregister(host: MHost, now_: number): void {
      host.isOnline = false
      for (const device of host.devices) device.status = 'offline'
      for (const run of openRuns()) {
        if (run.device.host === host && isWithHost(run)) finish(run, 'error', now_, { code: 'host_lost', isInfrastructure: true })
      }
      for (const device of host.devices) if (device.lease) endLease(device.lease)
    },
    /** What the background jobs must end now. Returns the runs. */
    sweep(now_: number): MRun[] {
      const ended = openRuns().filter((run) => endOf(run, now_) !== undefined)
      for (const run of ended) {
        const why = endOf(run, now_)
        if (why === 'cancelled') finish(run, 'cancelled', now_)
        else finish(run, 'error', now_, { code: why ?? '', isInfrastructure: why === 'host_lost' })
      }
      for (const { lease } of devices) if (lease && lease.expiresAt < now_ && !openRunOn(lease)) endLease(lease)
      for (const host of model) {
        if (!host.isOnline || host.lastSeenAt >= now_ - patienceSeconds(host) * second) continue
        host.isOnline = false
        for (const device of host.devices) device.status = 'offline'
      }
      return ended
    },
    tick(seconds: number): void {
      for (const run of openRuns()) {
        run.deadlineAt -= seconds * second
        run.aliveUntil -= seconds * second
        run.assignedAt -= seconds * second
        if (run.cancelAt !== undefined) run.cancelAt -= seconds * second
        run.queuedAt = new Date(Date.parse(run.queuedAt) - seconds * second).toISOString().slice(0, 23) + run.queuedAt.slice(23)
      }
      for (const { lease } of devices) if (lease) lease.expiresAt -= seconds * second
      for (const host of model) host.lastSeenAt -= seconds * second
    },
    /** The moments at which something may end: comparisons close to them would depend on milliseconds. */
    borders(): number[] {
      return [
        ...openRuns().flatMap((run) => [
          run.deadlineAt,
          run.deadlineAt + 15 * second,
          run.aliveUntil,
          (run.cancelAt ?? Number.NEGATIVE_INFINITY) + 30 * second,
        ]),
        ...devices.flatMap(({ lease }) => lease?.expiresAt ?? []),
        ...model.filter((host) => host.isOnline).map((host) => host.lastSeenAt + patienceSeconds(host) * second),
      ]
    },
    /** Moments that matter to the orders a beat brings. */
    orderBorders: (host: MHost): number[] =>
      openRuns()
        .filter((run) => run.device.host === host && run.status === 'assigned')
        .flatMap((run) => [run.assignedAt + 2 * second, run.aliveUntil]),
    /** The next attempt after a run, as it must be. */
    retry(run: MRun, row: { id: string; queued_at: string }, now_: number): MRun {
      const input: Submit = {
        device: run.device.world,
        user: '',
        queue: true,
        retries: run.retries - 1,
        priority: run.priority,
        key: null,
      }
      const next = store(input, row, now_)
      next.attempt = run.attempt + 1
      next.deadlineAt = now_ + 3600 * second
      run.mustRetry = false
      return next
    },
  }
}

function endOf(run: MRun, now: number): string | undefined {
  if (run.status === 'queued') return run.deadlineAt < now ? 'queue_timeout' : undefined
  if (run.cancelAt !== undefined && run.cancelAt < now - 30 * second) return 'cancelled'
  if (run.aliveUntil < now) return 'host_lost'
  return run.deadlineAt < now - 15 * second ? 'deadline' : undefined
}

const patienceSeconds = (host: MHost): number => (host.world.isAgent ? 30 : 660)
const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)
