import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { pino } from 'pino'
import type { Database } from '../../src/db/database.ts'
import { deleteOldEventsJob } from '../../src/features/events/index.ts'
import { takeLeadership } from '../../src/jobs/leader.ts'
import { createTestDatabase } from '../test-db.ts'
import { emit, newEvent, writtenSeqs } from './event-lab.ts'

async function prepare(
  t: TestContext,
): Promise<{ db: Database; run: (term: number, signal?: AbortSignal) => Promise<void>; term: number }> {
  const { db } = await createTestDatabase(t)
  await emit(db, ...Array.from({ length: 30 }, () => newEvent()))
  await sql`update events set at = now() - interval '8 days' where seq <= 12 or seq = 20`.execute(db.kysely)
  const leader = await takeLeadership(db, 'test')
  const job = deleteOldEventsJob({ everyMs: 1000, chunk: 5 })
  const log = pino({ level: 'silent' })
  return {
    db,
    term: leader?.term ?? 0,
    run: (term, signal = new AbortController().signal) => job.run({ db, log, signal, readySeconds: 100, term }),
  }
}

test('T26: old events go in chunks from the lowest number up, and leave no hole among those that stay', async (t) => {
  const { db, run, term } = await prepare(t)
  await run(term)
  assert.deepEqual(
    await writtenSeqs(db),
    Array.from({ length: 18 }, (_one, index) => index + 13),
  )
  await run(term)
  assert.equal((await writtenSeqs(db)).length, 18)
  await sql`update events set at = now() - interval '8 days'`.execute(db.kysely)
  await run(term)
  assert.deepEqual(await writtenSeqs(db), [])
  await run(term)
  await emit(db, newEvent())
  assert.deepEqual(await writtenSeqs(db), [31], 'numbers go on')
})

test('a former leader and a stopping server delete nothing', async (t) => {
  const { db, run, term } = await prepare(t)
  await run(term - 1)
  await run(term, AbortSignal.abort())
  assert.equal((await writtenSeqs(db)).length, 30)
})
