import type { LabEvent } from '@virtualpytest/shared'
import { type RawBuilder, sql } from 'kysely'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'

/** One event as the server keeps it in memory: what clients receive, and what decides who receives it. */
export interface FeedEvent {
  seq: number
  teamId: string
  rooms: readonly string[]
  /** Size of the data, for limits. */
  bytes: number
  event: LabEvent
}

/** What one reader may and wants to see; null means all. */
export interface EventFilter {
  teamId: string | null
  rooms: readonly string[] | null
  types: readonly string[] | null
}

export interface EventPage {
  events: FeedEvent[]
  /** Everything up to this number has been looked at. */
  upTo: number
  /** True when there was more than fits into a page. */
  more: boolean
}

interface EventRow {
  seq: number
  team_id: string
  type: string
  subject_kind: string
  subject_id: string
  rooms: string[]
  data: Record<string, unknown>
  at: string
  found: number
}

const everything: EventFilter = { teamId: null, rooms: null, types: null }
/** Log lines make events of up to 256 kB, so a page has a size too: as stored, which is a few times less than in memory. */
const pageBytes = 512 * 1024
/** How many numbers one statement looks at, so that a rare room in a long history takes many short statements. */
const longestStride = 20_000

/** Newest number given out, and the oldest one that is still kept (the next one to come when nothing is). */
export async function readBounds(db: Queryable): Promise<{ last: number; oldest: number }> {
  const row = await firstRow(
    db,
    sql<{ last: number; oldest: number }>`
      select last_seq as last, coalesce((select min(seq) from events), last_seq + 1) as oldest from event_counter`,
  )
  if (!row) throw new Error('the event counter has no row')
  return row
}

/** Events of all teams after `after`, whatever is there. */
export async function readNewEvents(db: Queryable, after: number, limit: number): Promise<EventPage> {
  const page = await readPage(db, sql<boolean>`seq > ${after}`, everything, limit)
  return { ...page, upTo: page.events.at(-1)?.seq ?? after }
}

/** Events after `after` and up to `until` that pass the filter. */
export async function readOldEvents(
  db: Queryable,
  filter: EventFilter,
  range: { after: number; until: number; limit: number },
): Promise<EventPage> {
  const until = Math.min(range.until, range.after + longestStride)
  const page = await readPage(db, sql<boolean>`seq > ${range.after} and seq <= ${until}`, filter, range.limit)
  return { ...page, upTo: (page.more ? page.events.at(-1)?.seq : undefined) ?? until }
}

async function readPage(
  db: Queryable,
  range: RawBuilder<boolean>,
  filter: EventFilter,
  limit: number,
): Promise<{ events: FeedEvent[]; more: boolean }> {
  const rows = await rowsOf(
    db,
    sql<EventRow>`
      select seq, team_id, type, subject_kind, subject_id, rooms, data, at, found
        from (select *, sum(size) over (order by seq) - size as before, count(*) over ()::int as found
                from (select *, pg_column_size(data) as size
                        from events
                       where ${range}
                         and (${filter.teamId}::uuid is null or team_id = ${filter.teamId})
                         and (${filter.rooms}::text[] is null or rooms && ${filter.rooms}::text[])
                         and (${filter.types}::text[] is null or type = any(${filter.types}::text[]))
                       order by seq limit ${limit}) as page) as sized
       where before < ${pageBytes}
       order by seq`,
  )
  const found = rows[0]?.found ?? 0
  return { events: rows.map(toFeedEvent), more: found === limit || rows.length < found }
}

const toFeedEvent = (row: EventRow): FeedEvent => ({
  seq: row.seq,
  teamId: row.team_id,
  rooms: row.rooms,
  bytes: JSON.stringify(row.data).length,
  event: {
    seq: row.seq,
    type: row.type,
    subject: { kind: row.subject_kind, id: row.subject_id },
    data: row.data,
    at: row.at,
  },
})
