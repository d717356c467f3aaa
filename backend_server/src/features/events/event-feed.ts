import { LabError, type LabEvent } from '@virtualpytest/shared'
import type { Database, Log } from '../../db/database.ts'
import { type EventFilter, type FeedEvent, readBounds, readNewEvents, readOldEvents } from './event.store.ts'
import { createEventRing, type EventRing, type RingLimits } from './event-ring.ts'
import { createLimit } from './limit.ts'
import { createRoomPositions } from './room-positions.ts'

/*
 * Delivers events of the table to everybody who listens on this server.
 * - The table is the truth: events of other servers are found by looking once a second, own commits only hurry that up.
 * - Every reader has a position and is pumped from there, by the same code for history and for news: from memory while it
 *   keeps up, from the table in pages while it does not. So a change from one to the other loses and doubles nothing.
 * - A reader whose `send` has not resolved gets nothing more, and nothing is kept for it but its position.
 * - Nobody listens: nothing is read and nothing is kept.
 */

export interface FeedOptions {
  pollMs?: number
  /** Most events in one page and in one `send`. */
  pageLimit?: number
  ring?: RingLimits
}

type Send<T> = (events: readonly T[]) => void | Promise<void>

export interface Subscriber {
  /** Only events of this team are delivered, whatever the rooms. */
  teamId: string
  send: Send<LabEvent>
  /** `send` failed; the subscription has ended. */
  onError: (error: unknown) => void
}

export interface Watcher {
  types: readonly string[]
  send: Send<FeedEvent>
  onError: (error: unknown) => void
}

export interface SubscriptionStart {
  /** Events after this number follow. */
  after: number
  /** Set when the caller asked for events that are no longer kept: the first one that is. */
  oldest?: number
}

export interface Subscription {
  /** Adds rooms, from `after` or from now on. Delivery begins in a later turn, so an answer to the caller goes out first. */
  add: (rooms: readonly string[], after: number | undefined) => Promise<SubscriptionStart>
  remove: (rooms: readonly string[]) => void
  rooms: () => string[]
  stop: () => void
}

interface Reader {
  filter: () => EventFilter
  wants: (event: FeedEvent) => boolean
  /** Where it stands; never called before the head is known. */
  cursor: (head: number) => number
  advance: (upTo: number) => void
  send: Send<FeedEvent>
  onError: (error: unknown) => void
  /** Changes with its rooms: a page that was asked for before is of no use. */
  version: number
  pumping: boolean
  closed: boolean
}

const defaultRing: RingLimits = { events: 5000, bytes: 4 * 1024 * 1024 }
const sendBytes = 1024 * 1024
/** The pool is small and others need it, so many clients that come back at once wait for each other here. */
const readsAtOnce = 2

export function createEventFeed(db: Database, log: Log, options: FeedOptions = {}) {
  const { pollMs = 1000, pageLimit = 500, ring: ringLimits = defaultRing } = options
  const readers = new Set<Reader>()
  const limited = createLimit(readsAtOnce)
  let ring: EventRing | undefined
  let timer: NodeJS.Timeout | undefined
  let reading: Promise<void> | undefined
  let again = false
  let stopped = false
  const forget = db.onEvents(wake)

  /** Reads what is new; a call while it does so makes it look once more. */
  function wake(): void {
    if (stopped || readers.size === 0) return
    again = true
    reading ??= readOn()
  }

  /** Never rejects. */
  async function readOn(): Promise<void> {
    while (again && readers.size > 0) {
      again = false
      try {
        const current = ring ?? createEventRing((await readBounds(db)).last, ringLimits)
        ring = current
        const page = await readNewEvents(db, current.head(), pageLimit)
        // Everybody left and somebody came meanwhile: that one begins with a memory of its own.
        if (ring !== current) continue
        current.append(page.events, page.upTo)
        again ||= page.more
        for (const reader of readers) pump(reader)
      } catch (error) {
        // The pool has told the operator already; the next look is due in a second.
        log.debug({ err: error }, 'events could not be read')
      }
    }
    if (readers.size === 0) ring = undefined
    // In the same turn as the last look at `again`, or a call in between would wait for nothing.
    reading = undefined
  }

  function pump(reader: Reader): void {
    if (reader.pumping) return
    reader.pumping = true
    deliver(reader).catch((error: unknown) => {
      close(reader)
      reader.onError(error)
    })
  }

  /** Until the reader has everything that was read so far. */
  async function deliver(reader: Reader): Promise<void> {
    while (!reader.closed && ring && reader.cursor(ring.head()) < ring.head()) {
      const batch = await nextBatch(reader, ring)
      if (!batch) break
      if (batch.length > 0 && !reader.closed) await reader.send(batch)
    }
    // In the same turn as the last look at the head, or the next pump would find it busy and leave.
    reader.pumping = false
  }

  /** The next events for a reader, which stands behind them then; undefined when the table cannot be read now. */
  async function nextBatch(reader: Reader, from: EventRing): Promise<FeedEvent[] | undefined> {
    const after = reader.cursor(from.head())
    if (from.covers(after)) {
      const taken = from.take(after, (one) => reader.wants(one), { events: pageLimit, bytes: sendBytes })
      reader.advance(taken.upTo)
      return taken.events
    }
    const version = reader.version
    const filter = reader.filter()
    if (filter.rooms?.length === 0) {
      reader.advance(from.head())
      return []
    }
    try {
      const page = await limited(() => readOldEvents(db, filter, { after, until: from.head(), limit: pageLimit }))
      if (reader.version !== version) return []
      const events = page.events.filter((one) => reader.wants(one))
      reader.advance(page.upTo)
      return events
    } catch (error) {
      log.debug({ err: error }, 'events could not be read for a subscriber')
      return undefined
    }
  }

  function join(reader: Reader): void {
    if (stopped) throw new LabError('draining')
    readers.add(reader)
    timer ??= setInterval(wake, pollMs)
  }

  function close(reader: Reader): void {
    reader.closed = true
    readers.delete(reader)
    if (readers.size > 0) return
    clearInterval(timer)
    timer = undefined
    ring = undefined
  }

  return {
    /** A subscriber without rooms; it gets nothing until it has some. */
    open({ teamId, send, onError }: Subscriber): Subscription {
      const positions = createRoomPositions()
      const reader: Reader = {
        filter: () => ({ teamId, rooms: positions.rooms(), types: null }),
        wants: (event) => event.teamId === teamId && positions.wants(event),
        cursor: positions.cursor,
        advance: positions.advance,
        send: (events) => send(events.map((one) => one.event)),
        onError,
        version: 0,
        pumping: false,
        closed: false,
      }
      join(reader)
      return {
        async add(rooms, after) {
          const { last, oldest } = await limited(() => readBounds(db))
          // A number from the future is one of another database; what comes next here is what its owner can have.
          const start = Math.max(Math.min(after ?? last, last), oldest - 1)
          positions.add(rooms, start)
          reader.version += 1
          setImmediate(() => {
            pump(reader)
            wake()
          })
          return { after: start, ...(after !== undefined && after < start && { oldest }) }
        },
        remove: positions.remove,
        rooms: positions.rooms,
        stop: () => close(reader),
      }
    },

    /** Follows events of all teams by type, from now on. Resolves once it stands, or when the database is away: then it begins later. */
    async watch({ types, send, onError }: Watcher): Promise<{ stop: () => void }> {
      let position: number | undefined
      const reader: Reader = {
        filter: () => ({ teamId: null, rooms: null, types }),
        wants: (event) => types.includes(event.event.type),
        cursor(head) {
          position ??= head
          return position
        },
        advance(upTo) {
          position = upTo
        },
        send,
        onError,
        version: 0,
        pumping: false,
        closed: false,
      }
      join(reader)
      wake()
      await reading
      return { stop: () => close(reader) }
    },

    /** How many listen now. */
    readers: (): number => readers.size,

    async stop(): Promise<void> {
      stopped = true
      forget()
      for (const reader of readers) close(reader)
      await reading
    },
  }
}
export type EventFeed = ReturnType<typeof createEventFeed>
