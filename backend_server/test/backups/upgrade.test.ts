import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { pino } from 'pino'
import { buildApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { bringUpDatabase } from '../../src/db/bring-up.ts'
import { openDatabase } from '../../src/db/database.ts'
import { migrationsFolder, readMigrations } from '../../src/db/migration-files.ts'
import { firstRow, rowsOf } from '../../src/db/query.ts'
import { type BackupBeforeMigration, backupBeforeMigration, isTrivial, listBackups } from '../../src/features/backups/index.ts'
import { cleanUp, startProgram, temporaryFolder } from '../db/tools.ts'
import { programEnv } from '../program-env.ts'
import { figure, sizeOf } from '../reliability/form.ts'
import { silentLog } from '../test-cluster.ts'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { seedLab } from './seed.ts'

// T18: an upgrade of a database in use: one server migrates, after a backup; a kill costs nothing; everybody can see it.

const present = readMigrations().length

/** The product's migrations and more after them. */
function withMore(t: TestContext, texts: string[]): string {
  const folder = path.join(temporaryFolder(t), 'migrations')
  cpSync(migrationsFolder, folder, { recursive: true })
  for (const [index, one] of texts.entries())
    writeFileSync(path.join(folder, `${String(present + 1 + index).padStart(4, '0')}_more.sql`), one)
  return folder
}

const slow = (n: number): string => `alter table runs add column more_${n} int not null default ${n}; select pg_sleep(0.2);\n`

async function upgrade(
  t: TestContext,
  url: string,
  folder: string,
  mode: BackupBeforeMigration,
  backups: string,
): Promise<string[]> {
  const states: string[] = []
  const signal = new AbortController().signal
  await bringUpDatabase({
    url,
    log: silentLog,
    signal,
    migrationsFolder: folder,
    onState: (state) => states.push(state),
    beforeMigration: backupBeforeMigration({
      url,
      settings: { folder: backups, keep: 5, product: '0.0.0-test' },
      mode,
      log: silentLog,
      signal,
    }),
  })
  t.diagnostic(states.join(' | '))
  return states
}

test('T18, M4, M6: of 10 servers that start at once on a new version, one backs up and each file is applied once', async (t) => {
  const { url, db } = await createTestDatabase(t)
  const runs = sizeOf('TEST_STEPS', 3000)
  await seedLab(url, runs)
  const folder = withMore(t, [slow(1), slow(2), slow(3)])
  const backups = path.join(temporaryFolder(t), 'backups')
  const startedAt = performance.now()
  const servers = Array.from({ length: 10 }, () =>
    startProgram(t, '../../backups/programs/bring-up-once.ts', [url, folder, backups]),
  )
  assert.deepEqual(await Promise.all(servers.map((one) => one.ended)), Array(10).fill(0))
  const lines = servers.flatMap((one) => one.lines)
  for (const n of [1, 2, 3])
    assert.equal(lines.filter((line) => line === `migration applied ${String(present + n).padStart(4, '0')}_more.sql`).length, 1)
  const made = await listBackups(backups)
  assert.deepEqual(
    made.map((one) => [one.kind, one.schemaVersion]),
    [['migration', present]],
  )
  assert.ok(lines.some((line) => line.startsWith('state backing up the database before it is migrated: table ')))
  const row = await firstRow(db, sql<{ n: number }>`select count(*)::int as n from runs where more_1 + more_2 + more_3 = 6`)
  assert.equal(row?.n, runs)
  figure(t, 'T18 upgrade', `10 servers, ${runs} runs: ${Math.round(performance.now() - startedAt)} ms until all are ready`)
})

test('T18, M6: killed in the middle of a file, the next start goes on, and nothing is applied twice', async (t) => {
  const { url, db } = await createTestDatabase(t)
  await seedLab(url, 500)
  const folder = withMore(t, [slow(1), slow(2), slow(3)])
  const backups = path.join(temporaryFolder(t), 'backups')
  const first = startProgram(t, '../../backups/programs/bring-up-once.ts', [url, folder, backups])
  await until('the second file is being applied', () => first.lines.includes('state migrating the database: 1 of 3 (more), 33 %'))
  first.child.kill('SIGKILL')
  await first.ended
  const next = startProgram(t, '../../backups/programs/bring-up-once.ts', [url, folder, backups])
  assert.equal(await next.ended, 0)
  assert.equal(next.lines.filter((line) => line.startsWith('migration applied')).length, 2)
  const versions = await rowsOf(db, sql<{ version: number }>`select version from schema_migrations order by version`)
  assert.deepEqual(
    versions.map((row) => row.version),
    Array.from({ length: present + 3 }, (_, index) => index + 1),
  )
})

test('T18, H4: while it migrates a server is alive, not ready, and says how far it is', async (t) => {
  const { url } = await createTestDatabase(t)
  await seedLab(url, 500)
  const config = readConfig({ SERVER_PORT: '0', DATA_DIR: temporaryFolder(t), LOG_LEVEL: 'silent' })
  const log = pino({ level: 'silent' })
  const db = openDatabase({ url, log })
  const server = await buildApp({ config, db, databaseUrl: url, log, migrationsFolder: withMore(t, [slow(1), slow(2)]) })
  cleanUp(t, () => server.stop())
  const address = await server.listen()
  let isUp = false
  const up = server.bringUp().then(() => (isUp = true))
  const told = new Set<string>()
  while (!isUp) {
    const [live, ready] = await Promise.all([fetch(`${address}/livez`), fetch(`${address}/readyz`)])
    assert.equal(live.status, 200)
    const body = (await ready.json()) as { error?: string }
    if (ready.status === 503 && body.error !== undefined) told.add(body.error)
  }
  await up
  assert.match([...told].join('\n'), /migrating the database: 0 of 2 \(more\), 0 %/)
  assert.match([...told].join('\n'), /migrating the database: 1 of 2 \(more\), 50 %/)
  assert.equal((await fetch(`${address}/readyz`)).status, 200)
  assert.equal((await listBackups(config.backupDir))[0]?.kind, 'migration')
})

test('T18, M5: a server older than a breaking schema refuses to start and says what to do', async (t) => {
  const { url, db } = await createTestDatabase(t)
  await sql`insert into schema_migrations (version, name, checksum, breaking) values (${present + 1}, 'drop_old_columns', 'x', true)`.execute(
    db.kysely,
  )
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
  const child = spawn(process.execPath, ['-C', 'source', main], {
    env: { ...programEnv(), DATABASE_URL: url, DATA_DIR: temporaryFolder(t), SERVER_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanUp(t, () => child.kill('SIGKILL'))
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')])
  assert.equal(child.exitCode, 1)
  assert.match(output, /drop_old_columns\) is not compatible with it\. Start the newer server, or restore a backup/)
})

test('M6: a backup that fails stops the migration before anything is changed, unless the setting says otherwise', async (t) => {
  const { url, db } = await createTestDatabase(t)
  await seedLab(url, 10)
  const folder = withMore(t, [slow(1)])
  const nowhere = '/proc/no-such-place'
  await assert.rejects(upgrade(t, url, folder, 'required', nowhere), {
    name: 'BackupError',
    message:
      /^The database was not migrated to version \d+, because the backup before it failed: .*Nothing was changed\..*BACKUP_BEFORE_MIGRATION=try/,
  })
  const columns = await rowsOf(db, sql`select 1 from information_schema.columns where column_name = 'more_1'`)
  assert.deepEqual(columns, [])
  await upgrade(t, url, folder, 'try', nowhere)
  assert.equal((await rowsOf(db, sql`select 1 from information_schema.columns where column_name = 'more_1'`)).length, 1)
})

test('T18: no backup where nothing can get lost: an unused database, a file that only adds, or off', async (t) => {
  const backups = path.join(temporaryFolder(t), 'backups')
  const unused = await createTestDatabase(t)
  await upgrade(t, unused.url, withMore(t, [slow(1)]), 'required', backups)
  const used = await createTestDatabase(t)
  await seedLab(used.url, 10)
  const adding = 'create table notes (id int, run_id uuid references runs (id) on delete cascade); -- not an update\n'
  await upgrade(t, used.url, withMore(t, [adding]), 'required', backups)
  await upgrade(t, used.url, withMore(t, [adding, slow(1)]), 'off', backups)
  assert.deepEqual(await listBackups(backups), [])
  await upgrade(t, used.url, withMore(t, [adding, slow(1), slow(2)]), 'required', backups)
  assert.deepEqual(
    (await listBackups(backups)).map((one) => one.schemaVersion),
    [present + 2],
  )
})

test('T18: what counts as a file that only adds', () => {
  const file = { version: 1, name: 'a', file: '0001_a.sql', checksum: '', breaking: false, alone: false }
  for (const [expected, one] of [
    [true, "create table a (b text default 'drop it' references c (d) on delete set null on update cascade);"],
    [true, 'create index concurrently if not exists a_b on virtualpytest.a (b)'],
    [false, 'alter table a add column b int;'],
    [false, 'update a set b = 1'],
    [false, 'do $$ begin perform 1; end $$'],
    [false, 'create function f() returns trigger language plpgsql as $$ begin delete from a; return null; end $$'],
  ] as const)
    assert.equal(isTrivial({ ...file, text: one }), expected, one)
  assert.equal(isTrivial({ ...file, text: 'create table a ()', breaking: true }), false)
})
