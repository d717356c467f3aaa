import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import {
  type Database,
  DatabaseUnavailable,
  inTransaction,
  isDataException,
  isUniqueViolation,
  openDatabase,
} from '../../src/db/database.ts'
import { firstRow, often, rowsOf } from '../../src/db/query.ts'
import { parseTimestamptz } from '../../src/db/value-types.ts'
import { silentLog, withAdmin } from '../test-cluster.ts'
import { createTestDatabase, testAdminUrl } from '../test-db.ts'
import { cleanUp, recordLog, until } from './tools.ts'

// How statements, transactions and losses of the database behave (N7, N14, S72).

async function one<T>(db: Parameters<typeof rowsOf>[0], statement: ReturnType<typeof sql<{ value: T }>>): Promise<T | undefined> {
  return (await firstRow(db, statement))?.value
}

test('S72: names mean our schema, with and without a transaction, beside tables of the same name elsewhere', async (t) => {
  const { db } = await createTestDatabase(t)
  await sql`create table public.teams as select 'not ours' as name`.execute(db.kysely)
  const names = sql<{ value: string }>`select name as value from teams`
  assert.equal(await one(db, names), 'Default team')
  assert.equal(await inTransaction(db, (tx) => one(tx, names)), 'Default team')
  assert.equal(await one(db, sql<{ value: string }>`select current_setting('statement_timeout') as value`), '30s')
  const silence = sql<{ value: string }>`select current_setting('idle_in_transaction_session_timeout') as value`
  assert.equal(await inTransaction(db, (tx) => one(tx, silence)), '30s')
})

test('delay of a call: a statement of every call is read once for each session of ours, and goes on after its table has changed', async (t) => {
  const { url } = await createTestDatabase(t)
  const db = openDatabase({ url, maxConnections: 1, log: silentLog })
  cleanUp(t, () => db.close())
  const named = (name: string) => often(sql<{ value: string }>`select name as value from teams where name = ${name}`)
  assert.equal(await one(db, named('Default team')), 'Default team')
  assert.equal(await one(db, named('no such team')), undefined)
  assert.equal(await inTransaction(db, (tx) => one(tx, named('Default team'))), 'Default team')
  const kept = sql<{ value: number }>`select count(*) as value from pg_prepared_statements`
  assert.equal(await one(db, kept), 1)
  await sql`alter table teams add column added text`.execute(db.kysely)
  assert.equal(await one(db, named('Default team')), 'Default team')
  await assert.rejects(one(db, often(sql<{ value: string }>`select no_such_column as value from teams`)), { code: '42703' })
  assert.equal(await one(db, kept), 1)
})

test('S72: values arrive ready to be sent as JSON, whatever the time zone of the session', async (t) => {
  const { db } = await createTestDatabase(t)
  const read = (): Promise<unknown> =>
    inTransaction(db, async (tx) => {
      await sql`set local time zone 'Asia/Kolkata'`.execute(tx.kysely)
      return firstRow(
        tx,
        sql<object>`select 9007199254740991::bigint as big, array[1, null, 3]::bigint[] as bigs, count(*) as count,
          '2026-11-23 16:27:00.1234+00'::timestamptz as at, array['2026-01-01 00:00:00+00'::timestamptz] as times,
          '2026-11-23'::date as day, '{"a": [1]}'::jsonb as json, null::timestamptz as never, 1.5::numeric as exact`,
      )
    })
  assert.deepEqual(await read(), {
    big: Number.MAX_SAFE_INTEGER,
    bigs: [1, null, 3],
    count: 1,
    at: '2026-11-23T16:27:00.123400Z',
    times: ['2026-01-01T00:00:00.000000Z'],
    day: '2026-11-23',
    json: { a: [1] },
    never: null,
    exact: '1.5',
  })
  await assert.rejects(rowsOf(db, sql`select 9007199254740993::bigint as big`), RangeError)
  assert.equal(await one(db, sql<{ value: number }>`select 1 as value`), 1, 'the connection is usable afterwards')
  assert.equal(parseTimestamptz('1850-01-01 00:00:00+00:53:28'), '1849-12-31T23:06:32.000000Z')
  assert.equal(parseTimestamptz('2026-01-01 00:30:00.5-03:30'), '2026-01-01T04:00:00.500000Z')
  assert.equal(parseTimestamptz('infinity'), 'infinity')
})

async function withCounters(db: Database): Promise<void> {
  await sql`create table counters (id int primary key, n int not null)`.execute(db.kysely)
  await sql`insert into counters values (1, 0), (2, 0)`.execute(db.kysely)
}

test('N1: serialization failures and deadlocks are tried again until both changes are there', async (t) => {
  const { db } = await createTestDatabase(t)
  await withCounters(db)
  let tries = 0
  /** Nobody goes on before both have come here, so that each first try meets the other one. */
  const meet = (): Promise<unknown> => until('both are under way', () => tries >= 2)
  const add = (first: number, second: number, isolation: 'serializable' | 'read committed'): Promise<void> =>
    inTransaction(
      db,
      async (tx) => {
        await sql`select n from counters`.execute(tx.kysely)
        if (isolation === 'serializable') {
          tries += 1
          await meet()
        }
        await sql`update counters set n = n + 1 where id = ${first}`.execute(tx.kysely)
        if (isolation === 'read committed') {
          tries += 1
          await meet()
        }
        await sql`update counters set n = n + 1 where id = ${second}`.execute(tx.kysely)
      },
      { isolation },
    )
  await Promise.all([add(1, 1, 'serializable'), add(1, 1, 'serializable')])
  assert.ok(tries > 2, 'one of them had to be tried again')
  tries = 0
  await Promise.all([add(1, 2, 'read committed'), add(2, 1, 'read committed')])
  assert.ok(tries > 2, 'one of them was the victim of a deadlock')
  assert.deepEqual(await rowsOf(db, sql`select n from counters order by id`), [{ n: 6 }, { n: 2 }])
})

test('N1: retries end, other errors are thrown as they are, and nothing of the transaction stays', async (t) => {
  const { db } = await createTestDatabase(t)
  await withCounters(db)
  let tries = 0
  const alwaysFails = inTransaction(db, async (tx) => {
    tries += 1
    await sql`update counters set n = 100`.execute(tx.kysely)
    await sql`do $$ begin raise exception 'again' using errcode = '40001'; end $$`.execute(tx.kysely)
  })
  await assert.rejects(alwaysFails, { code: '40001' })
  assert.equal(tries, 4)
  const twice = inTransaction(db, (tx) => sql`insert into counters values (1, 1)`.execute(tx.kysely))
  await assert.rejects(twice, (error) => isUniqueViolation(error, 'counters_pkey') && !isUniqueViolation(error, 'another'))
  const badText = sql`insert into counters values (${'1\u0000'})`.execute(db.kysely)
  await assert.rejects(badText, (error) => isDataException(error) && !isUniqueViolation(error))
  const swallowed = inTransaction(db, async (tx) => {
    await sql`update counters set n = 100`.execute(tx.kysely)
    await sql`select no_such_column`.execute(tx.kysely).catch(() => {})
  })
  await assert.rejects(swallowed, 'a failed statement that was swallowed must not look like a commit')
  assert.deepEqual(await rowsOf(db, sql`select n from counters order by id`), [{ n: 0 }, { n: 0 }])
})

test('N7: a connection that is cut is DatabaseUnavailable, does not end the process, and is not used again', async (t) => {
  const { url } = await createTestDatabase(t)
  const log = recordLog()
  const db = openDatabase({ url, maxConnections: 2, log })
  cleanUp(t, () => db.close())
  const backend = sql<{ value: number }>`select pg_backend_pid() as value`
  const cut = async (pid: number | undefined): Promise<void> => {
    await withAdmin(await testAdminUrl(), (admin) => admin.query('select pg_terminate_backend($1, 5000)', [pid]))
  }

  await assert.rejects(
    inTransaction(db, async (tx) => {
      await cut(await one(tx, backend))
      await pause(50)
      await one(tx, backend)
    }),
    (error) => error instanceof DatabaseUnavailable && error.status === 503 && !error.outcomeUnknown,
  )
  await assert.rejects(
    inTransaction(db, async (tx) => {
      await sql`create table gone_at_commit (id int)`.execute(tx.kysely)
      await sql`create function cut() returns trigger language plpgsql as
                $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$`.execute(tx.kysely)
      await sql`create constraint trigger cut after insert on gone_at_commit deferrable initially deferred
                for each row execute function cut()`.execute(tx.kysely)
      await sql`insert into gone_at_commit values (1)`.execute(tx.kysely)
    }),
    (error) => error instanceof DatabaseUnavailable && error.outcomeUnknown,
  )
  assert.match(log.text, /terminating connection due to administrator command/)
  const idle = await one(db, backend)
  await cut(idle)
  await until('the pool has dropped it', async () => (await one(db, backend).catch(() => idle)) !== idle)
  assert.match(log.text, /reachable again/)
})

test('N14, D3: a pool never has more connections than it may, and a call that finds none free in 5 s gets a 503', async (t) => {
  const { url } = await createTestDatabase(t)
  const db = openDatabase({ url, maxConnections: 2, log: recordLog() })
  cleanUp(t, () => db.close())
  const users = sql<{
    value: number
  }>`select count(*) as value from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
  const free = Promise.withResolvers<void>()
  cleanUp(t, () => free.resolve())
  let inside = 0
  const hold = (): Promise<void> =>
    inTransaction(db, () => {
      inside += 1
      return free.promise
    })
  const holders = [hold(), hold()]
  await until('both connections are taken', () => inside === 2)
  await assert.rejects(db.ping(), DatabaseUnavailable)
  free.resolve()
  await Promise.all(holders)
  await db.ping()
  assert.ok(((await one(db, users)) ?? 9) <= 1)
})

test('S49: closing waits for what runs, and not forever', async (t) => {
  const { url } = await createTestDatabase(t)
  const log = recordLog()
  const db = openDatabase({ url, log })
  const quick = inTransaction(db, async (tx) => {
    await pause(300)
    return one(tx, sql<{ value: number }>`select 1 as value`)
  })
  const stuck = inTransaction(db, (tx) => one(tx, sql<{ value: number }>`select 1 as value from pg_sleep(60)`))
  const refused = assert.rejects(stuck, DatabaseUnavailable)
  await db.ping()
  const startedAt = performance.now()
  await db.close()
  const ms = performance.now() - startedAt
  assert.ok(ms > 4000 && ms < 30_000, `${ms} ms`)
  assert.equal(await quick, 1)
  await refused
  assert.match(log.text, /still in use/)
})
