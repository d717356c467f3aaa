import {
  askSeconds,
  heartbeatSeconds,
  lifeOf,
  limits,
  type MAsk,
  type MDevice,
  type MLease,
  type MPlace,
  type Rank,
  second,
  usualPriority,
} from './reference-parts.ts'

/** What the other half of the model offers to this one. */
export interface Core {
  devices: readonly MDevice[]
  leases: Map<string, MLease>
  asks: MAsk[]
  fromLine: MLease[]
  grant: (device: MDevice, holder: string, isRun: boolean, rank: Rank, now: number) => MLease | undefined
  grantNext: (device: MDevice, now: number) => MLease | undefined
  join: (device: MDevice, user: string, priority: number, row: { id: string; requested_at: string }, now: number) => MPlace
  leaveLine: (place: MPlace) => void
  lineOf: (device: MDevice, now: number) => Rank[]
  act: (lease: MLease) => void
  isHeld: (lease: MLease) => boolean
  release: (lease: MLease, now: number) => boolean
  takeAway: (lease: MLease, now: number) => void
  nextOrder: () => number
}

/** Somebody who comes now is behind all others of the same priority. */
export const newcomer = (priority: number): Rank => ({ priority, since: '~', id: '' })

/** What people do with devices: take, wait, be there, keep, give up, ask, answer, and take out for maintenance. */
export function createPeople(core: Core) {
  const {
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
  } = core
  return {
    /** What somebody who takes a device, or waits for it, must be told. `row` is the place if the product stored one. */
    take(
      device: MDevice,
      input: { user: string; wait: boolean; priority: number },
      row: { id: string; requested_at: string },
      now_: number,
    ): 'held' | 'waiting' | 'locked' | 'unavailable' {
      const { user, wait, priority } = input
      const claimed = grant(device, user, false, newcomer(wait ? priority : usualPriority), now_)
      if (claimed) {
        claimed.id = row.id
        leases.set(row.id, claimed)
        fromLine.push(claimed)
        return 'held'
      }
      const { lease } = device
      if (lease && !lease.isRun && lease.holder === user) {
        lease.expiresAt = Math.max(lease.expiresAt, now_ + lifeOf(lease))
        act(lease)
        return 'held'
      }
      if (!wait) return lease ? 'locked' : 'unavailable'
      if (!lease && device.status !== 'available') return 'unavailable'
      const place = join(device, user, priority, row, now_)
      return grantNext(device, now_)?.id === place.id ? 'held' : 'waiting'
    },
    /** The heartbeat of a lease or a place; undefined when it is neither any more. */
    heartbeat(id: string, active: boolean, now_: number): 'held' | 'waiting' | 'stale_token' {
      const place = devices.flatMap((device) => device.places).find((one) => one.id === id)
      if (place) {
        place.expiresAt = now_ + heartbeatSeconds * second
        return 'waiting'
      }
      const lease = leases.get(id)
      if (!lease || !isHeld(lease)) return 'stale_token'
      lease.beats = true
      lease.expiresAt = Math.max(now_ + heartbeatSeconds * second, lease.keptUntil)
      if (active) act(lease)
      return 'held'
    },
    extend(lease: MLease, seconds: number, now_: number): string {
      if (!isHeld(lease)) return 'stale_token'
      if (lineOf(lease.device, now_).length > 0) return 'others_wait'
      const until = now_ + seconds * second
      if (seconds > limits.extend || until > lease.grantedAt + limits.hold * second) return 'lease_limit'
      lease.keptUntil = Math.max(lease.keptUntil, until)
      lease.expiresAt = Math.max(lease.expiresAt, until)
      act(lease)
      return 'held'
    },
    /** Gives up a place, or a lease. */
    leave(id: string, now_: number): string {
      const place = devices.flatMap((device) => device.places).find((one) => one.id === id)
      if (place) leaveLine(place)
      const lease = leases.get(id)
      if (!place && !(lease && isHeld(lease))) return 'stale_token'
      if (lease) release(lease, now_)
      return 'left'
    },
    ask(device: MDevice, user: string): string | undefined {
      if (!device.lease) return 'not_held'
      return device.lease.isRun || device.lease.holder === user ? 'not_askable' : undefined
    },
    storeAsk(device: MDevice, user: string, row: { id: string; placeId: string; requested_at: string }, now_: number): void {
      const lease = device.lease
      if (!lease) throw new Error('nobody to ask')
      const place = join(device, user, usualPriority, { id: row.placeId, requested_at: row.requested_at }, now_)
      if (asks.some((ask) => ask.lease === lease && ask.place === place && ask.status === 'open')) return
      asks.push({ id: row.id, lease, place, order: nextOrder(), answerBy: now_ + askSeconds * second, status: 'open' })
    },
    answer(ask: MAsk, isGiven: boolean, now_: number): string {
      if (ask.lease.isRun) return 'forbidden'
      if (ask.status !== 'open') return 'illegal_move'
      ask.status = isGiven ? 'given' : 'refused'
      if (isGiven) release(ask.lease, now_)
      return ask.status
    },
    grantWaiting(now_: number): void {
      for (const device of devices) grantNext(device, now_)
    },
    setStatus(device: MDevice, wanted: 'available' | 'maintenance', isForced: boolean, now_: number): string {
      const lease = wanted === 'available' ? undefined : device.lease
      if (lease && !isForced) return 'device_locked'
      if (device.status !== wanted) {
        if (wanted === 'available' && device.status !== 'maintenance') return 'illegal_move'
        device.status = wanted === 'available' && !device.host.isOnline ? 'offline' : wanted
        if (device.status === 'available') grantNext(device, now_)
      }
      if (lease) takeAway(lease, now_)
      return 'changed'
    },
  }
}
