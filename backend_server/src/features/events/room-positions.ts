import { LabError } from '@virtualpytest/shared'

/** Asking for older events again and again, faster than they can be sent, would pile up ranges to remember. */
const mostRanges = 100
const mostRooms = 500

interface Placed {
  seq: number
  rooms: readonly string[]
}

/**
 * Where one subscriber stands. It has one position for all its rooms, so that events arrive in order and the last number it
 * received is the one to resume with. Each room counts from a number of its own. Asking for a room's older events takes the
 * position back; what was sent already on the way to the old position is remembered and not sent again.
 */
export function createRoomPositions() {
  const rooms = new Map<string, number>()
  let cursor = Number.POSITIVE_INFINITY
  let sent: { rooms: ReadonlyMap<string, number>; upTo: number }[] = []

  const matches = (held: ReadonlyMap<string, number>, event: Placed): boolean =>
    event.rooms.some((name) => event.seq > (held.get(name) ?? Number.POSITIVE_INFINITY))

  return {
    cursor: (): number => cursor,
    rooms: (): string[] => [...rooms.keys()],
    /** Everything up to here has been handed over. */
    advance: (upTo: number): void => {
      cursor = upTo
      if (sent.length > 0) sent = sent.filter((range) => range.upTo > cursor)
    },
    wants: (event: Placed): boolean =>
      event.seq > cursor &&
      matches(rooms, event) &&
      !sent.some((range) => event.seq <= range.upTo && matches(range.rooms, event)),
    /** The rooms count from `after` on; a room that counts from an earlier number keeps it. */
    add(names: readonly string[], after: number): void {
      const started = names.filter((name) => after < (rooms.get(name) ?? Number.POSITIVE_INFINITY))
      if (new Set([...rooms.keys(), ...started]).size > mostRooms) {
        throw new LabError('validation_error', { text: `One connection can have at most ${mostRooms} rooms.` })
      }
      if (started.length > 0 && after < cursor) {
        if ([...rooms.values()].some((from) => from < cursor)) {
          if (sent.length >= mostRanges) {
            throw new LabError('conflict', { text: 'Older events were asked for too often; wait until they have arrived.' })
          }
          sent.push({ rooms: new Map(rooms), upTo: cursor })
        }
        cursor = after
      }
      for (const name of started) rooms.set(name, after)
    },
    remove: (names: readonly string[]): void => {
      for (const name of names) rooms.delete(name)
    },
  }
}
export type RoomPositions = ReturnType<typeof createRoomPositions>
