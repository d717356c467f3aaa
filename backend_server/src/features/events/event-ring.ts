import type { FeedEvent } from './event.store.ts'

export interface RingLimits {
  events: number
  bytes: number
}

/**
 * The newest events of all teams in memory, without a hole: every event after `from` and up to `head` is here. Readers who
 * are behind `from` take theirs from the table.
 */
export function createEventRing(start: number, limits: RingLimits) {
  let events: FeedEvent[] = []
  let bytes = 0
  let from = start
  let head = start

  /** Index of the first event after `seq`. */
  function indexAfter(seq: number): number {
    let low = 0
    let high = events.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((events[middle]?.seq ?? 0) > seq) high = middle
      else low = middle + 1
    }
    return low
  }

  return {
    head: (): number => head,
    /** True when everything after `seq` is in memory. */
    covers: (seq: number): boolean => seq >= from,
    append(page: readonly FeedEvent[], upTo: number): void {
      events.push(...page)
      head = upTo
      for (const one of page) bytes += one.bytes
      let drop = 0
      while (events.length - drop > limits.events || (bytes > limits.bytes && drop < events.length)) {
        const oldest = events[drop]
        if (!oldest) break
        bytes -= oldest.bytes
        from = oldest.seq
        drop += 1
      }
      if (drop > 0) events = events.slice(drop)
    },
    /** Events after `seq` that pass, and how far it looked. */
    take(seq: number, wants: (one: FeedEvent) => boolean, limit: RingLimits): { events: FeedEvent[]; upTo: number } {
      const taken: FeedEvent[] = []
      let size = 0
      for (let index = indexAfter(seq); index < events.length; index += 1) {
        const one = events[index]
        if (!one || !wants(one)) continue
        taken.push(one)
        size += one.bytes
        if (taken.length >= limit.events || size >= limit.bytes) return { events: taken, upTo: one.seq }
      }
      return { events: taken, upTo: Math.max(seq, head) }
    },
  }
}
export type EventRing = ReturnType<typeof createEventRing>
