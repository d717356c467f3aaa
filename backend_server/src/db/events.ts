import type { EventType } from '@virtualpytest/shared'
import { type Kysely, sql } from 'kysely'
import type { DB } from './schema.generated.ts'

/** A state change to announce; the sequence number and the time are given when it is written. */
export interface NewEvent {
  teamId: string
  type: EventType
  subjectKind: string
  subjectId: string
  rooms: string[]
  data: object
}

/** Numbers of the events that one transaction has just committed. */
export interface EventsHint {
  firstSeq: number
  lastSeq: number
}

/** One statement for all events of a transaction: numbers from the counter row, in the order of emission. */
export async function insertEvents(kysely: Kysely<DB>, events: readonly NewEvent[]): Promise<EventsHint> {
  const rows = events.map((event) => ({
    team_id: event.teamId,
    type: event.type,
    subject_kind: event.subjectKind,
    subject_id: event.subjectId,
    rooms: event.rooms,
    data: event.data,
  }))
  const result = await sql<{ last_seq: number }>`
    with next as (
      update event_counter set last_seq = last_seq + ${events.length}::int returning last_seq
    ), written as (
      insert into events (seq, team_id, type, subject_kind, subject_id, rooms, data)
      select next.last_seq - ${events.length}::int + item.position, (item.value ->> 'team_id')::uuid, item.value ->> 'type',
             item.value ->> 'subject_kind', item.value ->> 'subject_id',
             array(select jsonb_array_elements_text(item.value -> 'rooms')), item.value -> 'data'
        from next, jsonb_array_elements(${JSON.stringify(rows)}::jsonb) with ordinality as item (value, position)
    )
    select last_seq from next`.execute(kysely)
  const lastSeq = result.rows[0]?.last_seq
  if (lastSeq === undefined) throw new Error('the event counter has no row')
  return { firstSeq: lastSeq - events.length + 1, lastSeq }
}
