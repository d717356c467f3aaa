import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { type Database, type EventsHint, inTransaction, type NewEvent, openDatabase } from '../../src/db/database.ts'
import { firstRow, rowsOf } from '../../src/db/query.ts'
import { silentLog } from '../test-cluster.ts'
import { createTestDatabase } from '../test-db.ts'
import { cleanUp, randomFrom } from './tools.ts'

// N11: streams are complete. Event numbers have no gaps and appear in the order of commits, so a reader that asks for what
// comes after the last number it has seen misses nothing.

const teamId = '7fdeb4bb-3639-4ec3-959f-b54769a219ce'

const event = (subjectId: string, data: object = {}): NewEvent => ({
  teamId,
  type: 'run.step',
  subjectKind: 'run',
  subjectId,
  rooms: [`team:${teamId}`, `run:${subjectId}`],
  data,
})

const lastSeq = async (db: Database): Promise<number> =>
  (await firstRow(db, sql<{ value: number }>`select last_seq as value from event_counter`))?.value ?? Number.NaN

test('N11: events are written in order with their transaction, or not at all, and wake the listeners after the commit', async (t) => {
  const { db } = await createTestDatabase(t)
  const hints: EventsHint[] = []
  const before = await lastSeq(db)
  const stop = db.onEvents((hint) => hints.push(hint))
  db.onEvents(() => {
    throw new Error('a broken listener disturbs nobody')
  })
  const answer = await inTransaction(db, async (tx) => {
    tx.emit(event('a', { text: `quote ' "`, list: [1, { deep: null }] }))
    tx.emit(event('b'))
    tx.emit(event('c'))
    assert.equal(hints.length, 0)
    return 'answer'
  })
  assert.equal(answer, 'answer')
  assert.deepEqual(hints, [{ firstSeq: before + 1, lastSeq: before + 3 }])
  const rows = await rowsOf(db, sql`select seq, subject_id, rooms, data from events where seq > ${before} order by seq`)
  assert.deepEqual(rows, [
    { seq: before + 1, subject_id: 'a', rooms: event('a').rooms, data: { text: `quote ' "`, list: [1, { deep: null }] } },
    { seq: before + 2, subject_id: 'b', rooms: event('b').rooms, data: {} },
    { seq: before + 3, subject_id: 'c', rooms: event('c').rooms, data: {} },
  ])

  stop()
  await assert.rejects(
    inTransaction(db, async (tx) => {
      tx.emit(event('lost'))
      throw new Error('changed my mind')
    }),
    /changed my mind/,
  )
  await inTransaction(db, async (tx) => tx.emit(event('d')))
  assert.equal(await lastSeq(db), before + 4, 'a failed transaction leaves no gap')
  assert.equal(hints.length, 1, 'a removed listener is not called')
})

test('N11: with 8 writers at once readers see every number, in order, exactly once', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const seed = Date.now() % 1_000_000
  const random = randomFrom(seed)
  const writers = 8
  const transactions = 30
  // Two pools stand for two servers: what orders the events is the database, not this process.
  const others = openDatabase({ url, maxConnections: 5, log: silentLog })
  cleanUp(t, () => others.close())
  const start = await lastSeq(db)
  let expected = 0
  let writing = true

  const write = async (writer: number): Promise<void> => {
    for (let n = 0; n < transactions; n += 1) {
      const count = 1 + Math.floor(random() * 3)
      const fails = random() < 0.2
      const pool = writer % 2 === 0 ? db : others
      const done = inTransaction(pool, async (tx) => {
        for (let i = 0; i < count; i += 1) tx.emit(event(`w${writer}`, { n, i }))
        await pause(random() * 4)
        if (fails) throw new Error('on purpose')
      })
      await done.then(
        () => (expected += count),
        (error: Error) => assert.equal(error.message, 'on purpose'),
      )
    }
  }
  const read = async (pool: Database): Promise<number> => {
    let after = start
    for (let last = false; ; ) {
      last = !writing
      const rows = await rowsOf(pool, sql<{ seq: number }>`select seq from events where seq > ${after} order by seq limit 50`)
      for (const { seq } of rows) {
        assert.equal(seq, after + 1, 'the next number follows the last one seen')
        after = seq
      }
      if (rows.length === 0 && last) return after - start
    }
  }
  const readers = [db, others, db].map(read)
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
  writing = false
  const counts = await Promise.all(readers)
  t.diagnostic(`seed ${seed}: ${expected} events of ${writers} writers, read by ${counts.length} readers`)
  assert.deepEqual(counts, [expected, expected, expected])
})
