import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { closeClient, connectClient } from '../../src/db/client.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { readMigrations } from '../../src/db/migration-files.ts'
import { firstRow, rowsOf } from '../../src/db/query.ts'
import { silentLog } from '../test-cluster.ts'
import { createTestDatabase } from '../test-db.ts'
import { cleanUp, randomFrom, recordLog, startProgram, temporaryFolder, until } from './tools.ts'

// T18: migrations are applied once, whole and in order, however many servers start and whatever is killed.

function folderWith(t: TestContext, files: Record<string, string>): string {
  const folder = path.join(temporaryFolder(t), 'migrations')
  mkdirSync(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text)
  return folder
}

const value = async <T>(db: Database, statement: ReturnType<typeof sql<{ value: T }>>): Promise<T | undefined> =>
  (await firstRow(db, statement))?.value

/** Each file notes that it ran, works for a moment, and leaves something that a second run would refuse. */
const slowFiles = Object.fromEntries(
  Array.from({ length: 6 }, (_, n) => {
    const number = String(n + 1).padStart(4, '0')
    const log = n === 0 ? 'create table ran (version int);' : ''
    return [
      `${number}_step.sql`,
      `${log} insert into ran values (${n + 1}); create table t${n + 1} (id int); select pg_sleep(0.05);`,
    ]
  }),
)

test('T18, M4: of 10 servers that start at once each migration is applied by one', async (t) => {
  const { url, db } = await createTestDatabase(t, { empty: true })
  const folder = folderWith(t, slowFiles)
  const servers = Array.from({ length: 10 }, () => startProgram(t, 'migrate-once.ts', [url, folder]))
  assert.deepEqual(await Promise.all(servers.map((one) => one.ended)), Array(10).fill(0))
  const applied = servers.flatMap((one) => JSON.parse(one.lines.at(-1)?.slice(5) ?? '{}').applied)
  assert.deepEqual(
    applied.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6],
    'no version was reported by two servers',
  )
  assert.deepEqual(
    (await rowsOf(db, sql<{ version: number }>`select version from ran order by version`)).map((row) => row.version),
    [1, 2, 3, 4, 5, 6],
  )
})

test('T18, M6: killed at random moments, the next start goes on where the last whole file ended', async (t) => {
  const { url, db } = await createTestDatabase(t, { empty: true })
  const folder = folderWith(t, slowFiles)
  const seed = Date.now() % 1_000_000
  const random = randomFrom(seed)
  let kills = 0
  for (let round = 0; round < 8; round += 1) {
    const server = startProgram(t, 'migrate-once.ts', [url, folder])
    // The first line says that a file is about to be applied; the kill comes somewhere in it or in the one after it.
    await server.nextLine()
    await pause(random() * 90)
    if (server.child.kill('SIGKILL')) kills += 1
    await server.ended
    const versions = await rowsOf(db, sql<{ version: number }>`select version from schema_migrations order by version`).catch(
      () => [],
    )
    assert.deepEqual(
      versions.map((row) => row.version),
      versions.map((_, index) => index + 1),
    )
  }
  await migrate({ url, folder, log: silentLog })
  t.diagnostic(`seed ${seed}: ${kills} kills`)
  const ran = await rowsOf(db, sql<{ version: number }>`select version from ran order by version`)
  assert.deepEqual(
    ran.map((row) => row.version),
    [1, 2, 3, 4, 5, 6],
  )
})

test('T18: progress is reported, and a second start has nothing to do', async (t) => {
  const { url } = await createTestDatabase(t, { empty: true })
  const folder = folderWith(t, { '0001_a.sql': 'create table a (id int)', '0002_b.sql': 'create table b (id int)' })
  const progress: unknown[] = []
  const onProgress = (...step: unknown[]): void => void progress.push(step)
  assert.deepEqual(await migrate({ url, folder, log: silentLog, onProgress }), { applied: [1, 2], version: 2 })
  assert.deepEqual(progress, [
    [0, 2, 'a'],
    [1, 2, 'b'],
    [2, 2, ''],
  ])
  assert.deepEqual(await migrate({ url, folder, log: silentLog, onProgress }), { applied: [], version: 2 })
  assert.equal(progress.length, 3)
})

test('T18: a failing file changes nothing and is named with its line', async (t) => {
  const { url, db } = await createTestDatabase(t, { empty: true })
  const folder = folderWith(t, {
    '0001_good.sql': 'create table good (id int);',
    '0002_bad.sql': 'create table half (id int);\n\nalter table no_such_table add column x int;\n',
  })
  await assert.rejects(migrate({ url, folder, log: silentLog }), {
    code: 'migration_failed',
    message: /0002_bad\.sql.*no_such_table/,
  })
  writeFileSync(path.join(folder, '0002_bad.sql'), 'create table half (id int);\nselect 1 from;\n')
  await assert.rejects(migrate({ url, folder, log: silentLog }), { message: /0002_bad\.sql, line 2: syntax error/ })
  assert.equal(await value(db, sql<{ value: string | null }>`select to_regclass('half')::text as value`), null)
  writeFileSync(path.join(folder, '0002_bad.sql'), 'create table half (id int);')
  assert.deepEqual((await migrate({ url, folder, log: silentLog })).applied, [2])
})

test('T18: edited, renumbered and forgotten files are refused', async (t) => {
  const { url } = await createTestDatabase(t, { empty: true })
  const folder = folderWith(t, { '0001_a.sql': 'create table a (id int);\n', '0002_b.sql': 'create table b (id int);\n' })
  await migrate({ url, folder, log: silentLog })

  writeFileSync(path.join(folder, '0001_a.sql'), 'create table a (id int);\r\n')
  assert.deepEqual((await migrate({ url, folder, log: silentLog })).applied, [], 'other line ends are no change')
  writeFileSync(path.join(folder, '0001_a.sql'), 'create table a (id bigint);\n')
  await assert.rejects(migrate({ url, folder, log: silentLog }), { code: 'migration_changed', message: /Migration 1 \(a\)/ })
  writeFileSync(path.join(folder, '0001_a.sql'), 'create table a (id int);\n')

  const client = await connectClient(url, { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 })
  await client.query('delete from virtualpytest.schema_migrations where version = 1')
  await closeClient(client)
  await assert.rejects(migrate({ url, folder, log: silentLog }), { code: 'migration_out_of_order', message: /0001_a\.sql/ })

  renameSync(path.join(folder, '0002_b.sql'), path.join(folder, '0003_b.sql'))
  assert.throws(() => readMigrations(folder), /0003_b\.sql should have the number 0002/)
  rmSync(path.join(folder, '0003_b.sql'))
  writeFileSync(path.join(folder, '0002_B.sql'), '')
  assert.throws(() => readMigrations(folder), /should be named/)
  rmSync(path.join(folder, '0002_B.sql'))
  writeFileSync(path.join(folder, '0002_b.sql'), '--! braking\n')
  assert.throws(() => readMigrations(folder), /unknown header "--! braking"/)
  writeFileSync(path.join(folder, '0002_b.sql'), 'create table x (id int);\ncommit;\n')
  assert.throws(() => readMigrations(folder), /controls the transaction/)
})

test('T18, M5: an older server works with a newer schema, unless a change is breaking', async (t) => {
  const { url } = await createTestDatabase(t, { empty: true })
  const old = { '0001_a.sql': 'create table a (id int)' }
  const oldFolder = folderWith(t, old)
  const additive = { ...old, '0002_b.sql': 'create table b (id int)' }
  await migrate({ url, folder: folderWith(t, additive), log: silentLog })
  const log = recordLog()
  assert.deepEqual(await migrate({ url, folder: oldFolder, log }), { applied: [], version: 2 })
  assert.match(log.text, /warn .*newer server/)
  await migrate({ url, folder: folderWith(t, { ...additive, '0003_c.sql': '--! breaking\ndrop table a' }), log: silentLog })
  await assert.rejects(migrate({ url, folder: oldFolder, log: silentLog }), {
    code: 'database_newer',
    message: /version 3 and this server knows 1\. Migration 3 \(c\).*Start the newer server/,
  })
})

test('T18: an index is built without a transaction, and the unusable rest of a killed build is replaced', async (t) => {
  const { url, db } = await createTestDatabase(t, { empty: true })
  const folder = folderWith(t, {
    '0001_a.sql': 'create table a (id int); insert into a values (1), (1);',
    '0002_index.sql': '--! no-transaction\ncreate unique index concurrently if not exists a_id on virtualpytest.a (id)',
  })
  await assert.rejects(migrate({ url, folder, log: silentLog }), { code: 'migration_failed', message: /0002_index/ })
  const valid = sql<{ value: boolean }>`select indisvalid as value from pg_index where indexrelid = 'a_id'::regclass`
  assert.equal(await value(db, valid), false, 'the failed build left an unusable index')
  await sql`delete from a`.execute(db.kysely)
  assert.deepEqual((await migrate({ url, folder, log: silentLog })).applied, [2])
  assert.equal(await value(db, valid), true)
})

test('T18: a file that needs a table in use steps back and waits, and the others may use the table meanwhile', async (t) => {
  const { url, db } = await createTestDatabase(t, { empty: true })
  const first = { '0001_a.sql': 'create table a (id int)' }
  await migrate({ url, folder: folderWith(t, first), log: silentLog })
  const user = await connectClient(url, { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 })
  cleanUp(t, () => closeClient(user))
  await user.query('begin; select * from virtualpytest.a')
  const log = recordLog()
  const folder = folderWith(t, { ...first, '0002_b.sql': 'alter table a add column b int' })
  const migrating = migrate({ url, folder, log })
  await until('it steps back', () => log.text.includes('migration waits'))
  await sql`select * from a`.execute(db.kysely)
  await user.query('commit')
  assert.deepEqual((await migrating).applied, [2])
})

test('T18: an unreachable database is told apart from a broken migration, and a stop is obeyed', async (t) => {
  const folder = folderWith(t, slowFiles)
  await assert.rejects(migrate({ url: 'postgresql://u:p@127.0.0.1:1/d', folder, log: silentLog }), {
    code: 'database_unavailable',
  })
  const { url } = await createTestDatabase(t, { empty: true })
  await assert.rejects(migrate({ url, folder, log: silentLog, signal: AbortSignal.abort() }), { name: 'AbortError' })
})

test("T18: the product's own migrations are well formed", () => {
  assert.ok(readMigrations().length > 0)
})
