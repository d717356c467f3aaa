import {
  beatLeaseSeconds,
  byRank,
  compare,
  endOf,
  goOffline,
  heartbeatSeconds,
  isOpen,
  isWithHost,
  lifeOf,
  type MAsk,
  type MDevice,
  type MHost,
  type MLease,
  type MPlace,
  type MRun,
  newRun,
  patienceSeconds,
  personSeconds,
  type Rank,
  rankOf,
  second,
  usualPriority,
} from './reference-parts.ts'
import { createPeople, newcomer } from './reference-people.ts'
import { createTime } from './reference-time.ts'
import type { Outcome, Submit, WorldHost } from './world.ts'
import { runTimeoutSeconds } from './world.ts'

/*
 * What leases and runs are meant to do, in as few words as possible and without a database: the tests compare the product
 * with it after every operation. Times are milliseconds of the wall clock; `settle` in the driver keeps every comparison of
 * times far from its border, so that the model and the database cannot honestly disagree.
 */

export type Reference = ReturnType<typeof createReference>

export function createReference(hosts: readonly WorldHost[], now: number) {
  const devices: MDevice[] = []
  const model: MHost[] = hosts.map((world) => {
    const host: MHost = { world, isOnline: true, lastSeenAt: now, devices: [], has: new Map() }
    host.devices = world.devices.map((device) => ({
      world: device,
      host,
      status: 'available',
      fence: 0,
      lease: undefined,
      places: [],
    }))
    devices.push(...host.devices)
    return host
  })
  const runs = new Map<string, MRun>()
  /** Leases by id, also ended ones, which are what a holder that slept still believes in. */
  const leases = new Map<string, MLease>()
  const keys = new Map<string, { run: MRun; input: Submit }>()
  const asks: MAsk[] = []
  /** Leases that were granted to who waited, for the driver to use. */
  const fromLine: MLease[] = []
  let order = 0
  const nextOrder = (): number => {
    order += 1
    return order
  }

  const isHeld = (lease: MLease): boolean => lease.device.lease === lease
  const openRuns = (): MRun[] => [...runs.values()].filter(isOpen)
  const openRunOn = (lease: MLease): MRun | undefined => openRuns().find((run) => run.lease === lease && isWithHost(run))

  /** Who waits for a device, in order; people whose client is silent are passed over. */
  function lineOf(device: MDevice, now_: number): Rank[] {
    const people = device.places.filter((place) => place.expiresAt > now_)
    const waiting = openRuns().filter((run) => run.device === device && run.status === 'queued' && run.cancelAt === undefined)
    const ranks = [...people, ...waiting.map((run) => ({ priority: run.priority, since: run.queuedAt, id: run.id }))]
    return ranks.toSorted(byRank)
  }
  const isFirst = (device: MDevice, rank: Rank, now_: number): boolean =>
    lineOf(device, now_).every((other) => other.id === rank.id || byRank(rank, other) < 0)

  function grant(device: MDevice, holder: string, isRun: boolean, rank: Rank, now_: number): MLease | undefined {
    if (device.status !== 'available' || !isFirst(device, rank, now_)) return undefined
    return give(device, holder, isRun, isRun ? beatLeaseSeconds : personSeconds, now_)
  }
  function give(device: MDevice, holder: string, isRun: boolean, seconds: number, now_: number): MLease {
    device.status = 'leased'
    device.fence += 1
    const expiresAt = now_ + seconds * second
    const lease: MLease = {
      id: '',
      device,
      holder,
      isRun,
      token: device.fence,
      expiresAt,
      grantedAt: now_,
      keptUntil: 0,
      beats: false,
      activity: nextOrder(),
    }
    device.lease = lease
    return lease
  }

  /** A free device goes to the person who is first; to a run that is first its dispatcher gives it. */
  function grantNext(device: MDevice, now_: number): MLease | undefined {
    const [first] = lineOf(device, now_)
    const place = device.places.find((one) => one === first)
    if (!place || device.status !== 'available' || !device.host.isOnline) return undefined
    leaveLine(place)
    const lease = give(device, place.user, false, heartbeatSeconds, now_)
    Object.assign(lease, { id: place.id, beats: true })
    leases.set(lease.id, lease)
    fromLine.push(lease)
    return lease
  }
  function leaveLine(place: MPlace): void {
    place.device.places = place.device.places.filter((one) => one !== place)
    for (const ask of asks) if (ask.place === place && ask.status === 'open') ask.status = 'void'
  }

  const act = (lease: MLease): void => {
    lease.activity = nextOrder()
  }

  function endLease(lease: MLease, now_: number): void {
    if (!isHeld(lease)) return
    lease.device.lease = undefined
    for (const ask of asks) if (ask.lease === lease && ask.status === 'open') ask.status = 'void'
    if (lease.device.status === 'leased') lease.device.status = 'available'
    grantNext(lease.device, now_)
  }

  function join(
    device: MDevice,
    user: string,
    priority: number,
    row: { id: string; requested_at: string },
    now_: number,
  ): MPlace {
    const known = device.places.find((place) => place.user === user)
    if (known) {
      known.expiresAt = Math.max(known.expiresAt, now_ + heartbeatSeconds * second)
      return known
    }
    const place = { id: row.id, device, user, priority, since: row.requested_at, expiresAt: now_ + heartbeatSeconds * second }
    device.places.push(place)
    return place
  }

  /** Gives a lease back; one that an open run borrows stays, as the run's. */
  function release(lease: MLease, now_: number): boolean {
    const run = isHeld(lease) ? openRunOn(lease) : undefined
    if (run) {
      Object.assign(lease, { holder: run.id, isRun: true })
      for (const ask of asks) if (ask.lease === lease && ask.status === 'open') ask.status = 'void'
    }
    if (run || !isHeld(lease)) return false
    endLease(lease, now_)
    return true
  }
  function takeAway(lease: MLease, now_: number): void {
    const run = openRunOn(lease)
    if (run) finish(run, 'cancelled', now_)
    endLease(lease, now_)
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
      .toSorted((one, other) => byRank(rankOf(one), rankOf(other)))
    const lease = next && grant(device, next.id, true, rankOf(next), now_)
    if (!next || !lease) return undefined
    assign(next, lease, now_)
    return next
  }

  function finish(run: MRun, status: Outcome, now_: number, end: { code?: string; isInfrastructure?: boolean } = {}): void {
    run.status = status
    run.errorCode = end.code
    if (run.lease?.isRun && run.lease.holder === run.id) endLease(run.lease, now_)
    else if (run.lease && isHeld(run.lease)) {
      run.lease.expiresAt = Math.max(now_ + lifeOf(run.lease), run.lease.keptUntil)
      act(run.lease)
    }
    run.mustRetry = status === 'error' && end.isInfrastructure === true && run.retries > 0
  }

  function store(input: Submit, row: { id: string; queued_at: string }, now_: number): MRun {
    const run = newRun(deviceOf(input.device.id), input, row, now_)
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
    asks,
    takeFromLine: (): MLease[] => fromLine.splice(0),
    claim: (deviceId: string, user: string, now_: number): MLease | undefined =>
      grant(deviceOf(deviceId), user, false, newcomer(usualPriority), now_),
    renew(lease: MLease, now_: number): boolean {
      if (!isHeld(lease)) return false
      lease.expiresAt = Math.max(lease.expiresAt, now_ + lifeOf(lease))
      act(lease)
      return true
    },
    ...createPeople({
      devices,
      leases,
      asks,
      fromLine,
      grant,
      grantNext,
      join,
      leaveLine,
      lineOf,
      act,
      isHeld,
      release,
      takeAway,
      nextOrder,
    }),
    release,
    takeAway,
    /** What a submit must answer when it stores nothing; undefined when it stores a run. */
    refusalOf(input: Submit, now_: number): string | undefined {
      const device = deviceOf(input.device.id)
      if (input.queue || (device.status === 'available' && isFirst(device, newcomer(input.priority), now_))) return undefined
      if (device.lease && !device.lease.isRun && device.lease.holder === input.user && !openRunOn(device.lease)) return undefined
      if (device.lease) return 'device_locked'
      return { offline: 'host_offline', maintenance: 'device_in_maintenance' }[device.status as string] ?? 'device_locked'
    },
    submit(input: Submit, row: { id: string; queued_at: string }, now_: number): MRun {
      const run = store(input, row, now_)
      if (input.queue) assignNext(run.device, now_)
      else {
        const lease = grant(run.device, run.id, true, rankOf(run), now_) ?? run.device.lease
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
          if (run.lease && isHeld(run.lease)) {
            run.lease.expiresAt = Math.max(run.lease.expiresAt, now_ + beatLeaseSeconds * second)
            act(run.lease)
          }
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
      for (const run of openRuns()) {
        if (run.device.host === host && isWithHost(run)) finish(run, 'error', now_, { code: 'host_lost', isInfrastructure: true })
      }
      for (const device of host.devices) if (device.lease) endLease(device.lease, now_)
      for (const device of host.devices) goOffline(device)
    },
    /** What the background jobs must end now. Returns the runs. */
    sweep(now_: number): MRun[] {
      const ended = openRuns()
        .filter((run) => endOf(run, now_) !== undefined)
        .toSorted((one, other) => compare(one.id, other.id))
      for (const run of ended) {
        const why = endOf(run, now_)
        if (why === 'cancelled') finish(run, 'cancelled', now_)
        else finish(run, 'error', now_, { code: why ?? '', isInfrastructure: why === 'host_lost' })
      }
      for (const place of devices.flatMap((device) => device.places)) if (place.expiresAt < now_) leaveLine(place)
      for (const { lease } of devices) if (lease && lease.expiresAt < now_ && !openRunOn(lease)) endLease(lease, now_)
      for (const ask of asks) {
        if (ask.status !== 'open' || ask.answerBy >= now_) continue
        const isSilent = !ask.lease.isRun && ask.lease.activity < ask.order && !openRunOn(ask.lease)
        ask.status = isSilent ? 'given' : 'refused'
        if (isSilent) endLease(ask.lease, now_)
      }
      for (const host of model) {
        if (!host.isOnline || host.lastSeenAt >= now_ - patienceSeconds(host) * second) continue
        host.isOnline = false
        for (const device of host.devices) goOffline(device)
      }
      return ended
    },
    ...createTime({ hosts: model, devices, asks, openRuns }),
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
