import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { defaultTeamId, type LabEvent, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { openDatabase } from '../../src/db/database.ts'
import { createEventFeed } from '../../src/features/events/index.ts'
import { silentLog, withAdmin } from '../test-cluster.ts'
import { createTestDatabase, testAdminUrl } from '../test-db.ts'
import { emit, newEvent, until, writeUntil, writtenSeqs } from './event-lab.ts'

const team = rooms.team(defaultTeamId)
const failing = (error: unknown): never => {
  throw error
}
const seqsOf = (events: readonly LabEvent[]): number[] => events.map((event) => event.seq)

test('N11: history from the table and news from memory are one stream, in small pages, while others write', async (t) => {
  const { db } = await createTestDatabase(t)
  const feed = createEventFeed(db, silentLog, { pageLimit: 7, ring: { events: 20, bytes: 10_000 } })
  t.after(() => feed.stop())
  await emit(db, ...Array.from({ length: 100 }, () => newEvent()))
  const writing = new AbortController()
  const writers = writeUntil(db, writing.signal, 4)
  const received: number[] = []
  const subscription = feed.open({
    teamId: defaultTeamId,
    send: (events) => void received.push(...seqsOf(events)),
    onError: failing,
  })
  assert.deepEqual(await subscription.add([team], 0), { after: 0 })
  await until('400 events', () => received.length > 400)
  writing.abort()
  await writers
  const written = await writtenSeqs(db)
  await until('all events', () => received.length >= written.length)
  assert.deepEqual(received, written)
})

test('a subscriber without `after` gets only what comes from now on, and one with a number of the future as well', async (t) => {
  const { db } = await createTestDatabase(t)
  const feed = createEventFeed(db, silentLog)
  t.after(() => feed.stop())
  await emit(db, newEvent(), newEvent())
  const received: number[][] = [[], []]
  const open = (list: number[] = []) =>
    feed.open({ teamId: defaultTeamId, send: (events) => void list.push(...seqsOf(events)), onError: failing })
  assert.deepEqual(await open(received[0]).add([team], undefined), { after: 2 })
  assert.deepEqual(await open(received[1]).add([team], 1000), { after: 2 })
  await emit(db, newEvent())
  await until('the new event', () => received.every((list) => list.length > 0))
  assert.deepEqual(received, [[3], [3]])
})

test('N13: only events of the own team and of the asked rooms arrive', async (t) => {
  const { db } = await createTestDatabase(t)
  const feed = createEventFeed(db, silentLog)
  t.after(() => feed.stop())
  const otherTeam = randomUUID()
  await sql`insert into teams (id, name) values (${otherTeam}, 'other')`.execute(db.kysely)
  const write = () =>
    emit(
      db,
      newEvent({ rooms: ['host:h1'] }),
      newEvent({ rooms: ['host:h2'] }),
      newEvent({ teamId: otherTeam, rooms: ['host:h1', team] }),
      newEvent({ rooms: [team, 'run:1'] }),
    )
  await write()
  const received: number[] = []
  const subscription = feed.open({
    teamId: defaultTeamId,
    send: (events) => void received.push(...seqsOf(events)),
    onError: failing,
  })
  await subscription.add(['host:h1', 'run:1'], 0)
  await until('history', () => received.length === 2)
  await write()
  await until('news', () => received.length === 4)
  subscription.remove(['host:h1'])
  await write()
  await until('what is left', () => received.length === 5)
  await subscription.add(['host:h2'], 0)
  await until('a room that joined later, from the start', () => received.length === 8)
  assert.deepEqual(received, [1, 4, 5, 8, 12, 2, 6, 10])
})

test('N11: rooms that are added while pages are being read lose nothing and double nothing', async (t) => {
  const { db } = await createTestDatabase(t)
  const feed = createEventFeed(db, silentLog, { pageLimit: 10, ring: { events: 5, bytes: 10_000 } })
  t.after(() => feed.stop())
  const names = Array.from({ length: 20 }, (_one, index) => `host:h${index}`)
  await emit(db, ...Array.from({ length: 400 }, (_one, index) => newEvent({ rooms: names.slice(index % 20) })))
  const received: number[] = []
  const subscription = feed.open({
    teamId: defaultTeamId,
    send: (events) => void received.push(...seqsOf(events)),
    onError: failing,
  })
  for (const name of names) {
    await subscription.add([name], 0)
    const sent = received.length
    // The next page is under way when the next room comes.
    await until('a page', () => received.length > sent)
  }
  await until('all events', () => received.length >= 400)
  await emit(db, newEvent({ rooms: names }))
  await until('the last event', () => received.at(-1) === 401)
  assert.deepEqual(
    received.toSorted((a, b) => a - b),
    await writtenSeqs(db),
  )
})

test('a slow subscriber gets one batch, nothing is kept for it, and it catches up without loss', async (t) => {
  const { db } = await createTestDatabase(t)
  const feed = createEventFeed(db, silentLog, { pageLimit: 50, ring: { events: 100, bytes: 1024 * 1024 } })
  t.after(() => feed.stop())
  const slow: number[] = []
  const fast: number[] = []
  const gate = Promise.withResolvers<void>()
  const slowOne = feed.open({
    teamId: defaultTeamId,
    async send(events) {
      slow.push(...seqsOf(events))
      await gate.promise
    },
    onError: failing,
  })
  const fastOne = feed.open({
    teamId: defaultTeamId,
    send: (events) => void fast.push(...seqsOf(events)),
    onError: failing,
  })
  await slowOne.add([team], 0)
  await fastOne.add([team], 0)
  for (let round = 0; round < 20; round += 1) await emit(db, ...Array.from({ length: 50 }, () => newEvent()))
  await until('the fast one has all', () => fast.length === 1000)
  assert.ok(slow.length <= 50, `${slow.length} events were handed to a subscriber that takes none`)
  gate.resolve()
  await until('the slow one has all', () => slow.length === 1000)
  assert.deepEqual(slow, fast)
})

test('large events make small batches', async (t) => {
  const { db } = await createTestDatabase(t)
  const feed = createEventFeed(db, silentLog)
  t.after(() => feed.stop())
  // Random text, because stored sizes count and repetition compresses well.
  const lines = Array.from({ length: 1000 }, () => randomUUID().repeat(5))
  for (let round = 0; round < 30; round += 1) await emit(db, newEvent({ data: { lines } }))
  const batches: number[] = []
  const subscription = feed.open({
    teamId: defaultTeamId,
    send: (events) => void batches.push(JSON.stringify(events).length),
    onError: failing,
  })
  await subscription.add([team], 0)
  await until('all of it', () => batches.reduce((sum, one) => sum + one, 0) > 30 * 180_000)
  assert.ok(Math.max(...batches) < 4 * 1024 * 1024, `a batch of ${Math.max(...batches)} bytes`)
  assert.ok(batches.length > 1)
})

test('who asks for events that are no longer kept is told where they begin', async (t) => {
  const { db } = await createTestDatabase(t)
  const feed = createEventFeed(db, silentLog)
  t.after(() => feed.stop())
  await emit(db, newEvent(), newEvent(), newEvent(), newEvent())
  await sql`delete from events where seq <= 2`.execute(db.kysely)
  const received: number[] = []
  const open = () =>
    feed.open({ teamId: defaultTeamId, send: (events) => void received.push(...seqsOf(events)), onError: failing })
  assert.deepEqual(await open().add([team], 1), { after: 2, oldest: 3 })
  await until('the rest', () => received.length === 2)
  assert.deepEqual(received, [3, 4])
  assert.deepEqual(await open().add([team], 2), { after: 2 }, 'nothing is missing after 2')
  await sql`delete from events`.execute(db.kysely)
  assert.deepEqual(await open().add([team], 2), { after: 4, oldest: 5 })
})

test('N6, D5: events that another server writes arrive by the poll, and nothing is read while nobody listens', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const other = openDatabase({ url, log: silentLog })
  t.after(() => other.close())
  const feed = createEventFeed(db, silentLog, { pollMs: 50 })
  t.after(() => feed.stop())
  const received: number[] = []
  const subscription = feed.open({
    teamId: defaultTeamId,
    send: (events) => void received.push(...seqsOf(events)),
    onError: failing,
  })
  await subscription.add([team], undefined)
  await emit(other, newEvent())
  await until('the event of the other server', () => received.length === 1)
  subscription.stop()
  assert.equal(feed.readers(), 0)
  const before = await scans(db)
  await emit(other, newEvent())
  for (let turn = 0; turn < 10; turn += 1) await sql`select pg_sleep(0.02)`.execute(db.kysely)
  assert.equal(await scans(db), before)
})

/** How often the table of events was looked at. */
async function scans(db: Parameters<typeof emit>[0]): Promise<number> {
  await sql`select pg_stat_force_next_flush()`.execute(db.kysely)
  const result = await sql<{ n: number }>`
    select coalesce(seq_scan, 0) + coalesce(idx_scan, 0) as n from pg_stat_user_tables where relname = 'events'`.execute(
    db.kysely,
  )
  return result.rows[0]?.n ?? 0
}

test('N11: connections to the database that are cut lose and double nothing', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const writerDb = openDatabase({ url, log: silentLog })
  t.after(() => writerDb.close())
  const feed = createEventFeed(db, silentLog, { pollMs: 50, pageLimit: 5, ring: { events: 10, bytes: 10_000 } })
  t.after(() => feed.stop())
  const received: number[] = []
  const subscription = feed.open({
    teamId: defaultTeamId,
    async send(events) {
      received.push(...seqsOf(events))
      await new Promise((resolve) => setTimeout(resolve, 5))
    },
    onError: failing,
  })
  await subscription.add([team], 0)
  const adminUrl = await testAdminUrl()
  const name = new URL(url).pathname.slice(1)
  for (let round = 0; round < 8; round += 1) {
    await emit(writerDb, ...Array.from({ length: 50 }, () => newEvent()))
    await withAdmin(adminUrl, (admin) =>
      admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]),
    )
    // The writer's own connections were cut as well; its next transaction may meet a dead one.
    await until('the database answers', () =>
      writerDb.ping().then(
        () => true,
        () => false,
      ),
    )
  }
  await until('all events', () => received.length >= 400)
  assert.deepEqual(received, await writtenSeqs(writerDb))
})
