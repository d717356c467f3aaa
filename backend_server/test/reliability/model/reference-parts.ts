import { type Outcome, queueTimeoutSeconds, type Submit, type WorldDevice, type WorldHost } from './world.ts'

/* The things of the reference model, and what can be said of one of them alone. */

export const second = 1000
export const personSeconds = 300
export const heartbeatSeconds = 45
export const beatLeaseSeconds = 30
export const askSeconds = 60
export const usualPriority = 50
export const limits = { extend: 3600, hold: 28_800 }

export interface MLease {
  id: string
  device: MDevice
  holder: string
  isRun: boolean
  token: number
  expiresAt: number
  grantedAt: number
  keptUntil: number
  /** Its client sends heartbeats. */
  beats: boolean
  /** Order of the last activity among all that happened: what matters is only whether a question came before it. */
  activity: number
}
/** A place of a person in the line of a device. */
export interface MPlace {
  id: string
  device: MDevice
  user: string
  priority: number
  since: string
  expiresAt: number
}
export interface MAsk {
  id: string
  lease: MLease
  place: MPlace
  order: number
  answerBy: number
  status: 'open' | 'given' | 'refused' | 'void'
}
export interface MDevice {
  world: WorldDevice
  host: MHost
  status: 'available' | 'leased' | 'offline' | 'maintenance'
  fence: number
  lease: MLease | undefined
  places: MPlace[]
}
export interface Rank {
  priority: number
  since: string
  id: string
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

export function endOf(run: MRun, now: number): string | undefined {
  if (run.status === 'queued') return run.deadlineAt < now ? 'queue_timeout' : undefined
  if (run.cancelAt !== undefined && run.cancelAt < now - 30 * second) return 'cancelled'
  if (run.aliveUntil < now) return 'host_lost'
  return run.deadlineAt < now - 15 * second ? 'deadline' : undefined
}

export const patienceSeconds = (host: MHost): number => (host.world.isAgent ? 30 : 660)
export const rankOf = (run: MRun): Rank => ({ priority: run.priority, since: run.queuedAt, id: run.id })
export const byRank = (one: Rank, other: Rank): number =>
  other.priority - one.priority || compare(one.since, other.since) || compare(one.id, other.id)
export const earlier = (time: string, byMs: number): string =>
  new Date(Date.parse(time) - byMs).toISOString().slice(0, 23) + time.slice(23)
export const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)
/** How long a person's lease lives after a sign of life. */
export const lifeOf = (lease: MLease): number => (lease.beats ? heartbeatSeconds : personSeconds) * second
/** A device whose host is away; maintenance goes on. */
export function goOffline(device: MDevice): void {
  if (device.status !== 'maintenance') device.status = 'offline'
}
export function newRun(device: MDevice, input: Submit, row: { id: string; queued_at: string }, now: number): MRun {
  return {
    id: row.id,
    device,
    status: 'queued',
    priority: input.priority,
    queuedAt: row.queued_at,
    attempt: 1,
    retries: input.retries,
    deadlineAt: now + queueTimeoutSeconds * second,
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
}
