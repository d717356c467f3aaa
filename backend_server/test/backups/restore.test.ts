import assert from 'node:assert/strict'
import { cpSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { Run } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { readBackup, restoreBackup, type WrittenBackup, writeBackup } from '../../src/db/backup/index.ts'
import { type Database, openDatabase } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { migrationsFolder, readMigrations } from '../../src/db/migration-files.ts'
import { firstRow, rowsOf } from '../../src/db/query.ts'
import { cleanUp, temporaryFolder } from '../db/tools.ts'
import { figure, sizeOf } from '../reliability/form.ts'
import { startLab, until } from '../start-lab.ts'
import { createDatabase, silentLog, startTestCluster } from '../test-cluster.ts'
import { createTestDatabase } from '../test-db.ts'
import { seedLab } from './seed.ts'

// T19: a backup restores into an empty database with equal counts and hashes, the server works on it, and damage is noticed.

const back = (url: string, file: string): Promise<WrittenBackup> =>
  writeBackup({ url, file, kind: 'manual', product: '0.0.0-test' })

/** Digest of every table. */
async function contentsOf(t: TestContext, url: string): Promise<object> {
  const file = path.join(temporaryFolder(t), 'contents.backup.gz')
  const { tail } = await back(url, file)
  return Object.fromEntries(tail.tables.map((table) => [table.name, `${table.rows} ${table.content}`]))
}

async function seededBackup(t: TestContext, runs: number): Promise<{ url: string; db: Database; written: WrittenBackup }> {
  const { url, db } = await createTestDatabase(t)
  await seedLab(url, runs)
  return { url, db, written: await back(url, path.join(temporaryFolder(t), 'lab.backup.gz')) }
}

test('T19, B2: restored into an empty database, counts and digests are equal, and the server starts on it', async (t) => {
  const runs = sizeOf('TEST_STEPS', 3000)
  const { url, written } = await seededBackup(t, runs)
  const before = await contentsOf(t, url)
  const empty = await createTestDatabase(t, { empty: true })
  const restored = await restoreBackup({ url: empty.url, file: written.file, log: silentLog })
  assert.equal(restored.rows, written.rows)
  assert.equal(restored.hasLiveServer, false)
  assert.equal(statSync(written.file).mode & 0o777, 0o600)

  const after = await contentsOf(t, empty.url)
  // Devices have new fences, for which see below, and with that the listing of hosts a new version.
  const ignoring = { devices: '', listing_versions: '' }
  assert.deepEqual({ ...after, ...ignoring }, { ...before, ...ignoring })
  const fences = await rowsOf(empty.db, sql<{ fence: number }>`select distinct fence from devices order by fence`)
  assert.deepEqual(
    fences.map((row) => row.fence),
    [1_000_041, 1_000_042, 1_000_043],
    'hosts refuse tokens below those they have seen since the backup',
  )
  const odd = await firstRow(empty.db, sql<{ name: string }>`select name from devices limit 1`)
  assert.equal(odd?.name, 'tab\tline\nback\\slash \\. end')

  // What was switched off for the load is on again.
  await sql`insert into audit_log (actor_kind, action) values ('user', 'after')`.execute(empty.db.kysely)
  const last = await firstRow(empty.db, sql<{ id: number }>`select max(id) as id from audit_log`)
  assert.equal(last?.id, 51, 'numbers go on behind the last one')
  await sql`update devices set status = 'maintenance' where device_key = 'device1'`.execute(empty.db.kysely)
  const history = await firstRow(empty.db, sql<{ n: number }>`select count(*)::int as n from device_status_history`)
  assert.equal(history?.n, 12 + 4, 'triggers work')
  await assert.rejects(
    sql`insert into run_steps (run_id, position, kind, name, started_at) values (gen_random_uuid(), 1, 'block', 'x', now())`.execute(
      empty.db.kysely,
    ),
    { code: '23503' },
    'references are checked',
  )

  const lab = await startLab(t, { databaseUrl: empty.url, hosts: 0 })
  const listed = await lab.get<{ runs: Run[] }>('/server/runs?limit=5')
  assert.equal(listed.status, 200, listed.text)
  const old = listed.body.runs[0]
  assert.equal(old?.name, 'zapping.ts')
  const { run: again, steps } = (await lab.get<{ run: Run; steps: unknown[] }>(`/server/runs/${old.id}`)).body
  assert.deepEqual([again.status, steps.length], ['passed', 2])
  // And it works: a host comes, a device is taken and given back, a run goes from submit to its verdict.
  await lab.addHost({ name: 'after' })
  const target = { host_name: 'after', device_id: 'device1' }
  assert.equal((await lab.post('/server/control/takeControl', { ...target, user_id: 'ann' })).status, 200)
  assert.equal((await lab.post('/server/control/releaseControl', { ...target, user_id: 'ann' })).status, 200)
  const submitted = await lab.post<{ run_id: string }>('/server/script/execute', { ...target, script_name: 'demo' })
  assert.equal(submitted.status, 202, submitted.text)
  const isDone = async () => {
    const { run } = (await lab.get<{ run: Run }>(`/server/runs/${submitted.body.run_id}`)).body
    return run.status === 'passed'
  }
  await until('the new run has passed', isDone)
  const megabytes = written.dataBytes / 1e6
  figure(
    t,
    'backup',
    `${written.rows} rows, ${megabytes.toFixed(1)} MB as ${(written.bytes / 1e6).toFixed(2)} MB: write ${written.writeMs} ms, verify ${written.verifyMs} ms, restore ${restored.loadMs} ms`,
  )
})

test('T19: the schema of a restored database is that of a migrated one', async (t) => {
  const { url, written } = await seededBackup(t, 10)
  const empty = await createTestDatabase(t, { empty: true })
  await restoreBackup({ url: empty.url, file: written.file, log: silentLog })
  const facts = sql<{ line: string }>`
    select line from (
      select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as line
        from pg_constraint where connamespace = 'virtualpytest'::regnamespace
      union all
      select format('%s %s %s', tgrelid::regclass, tgname, tgenabled) from pg_trigger
       where not tgisinternal and tgrelid in (select oid from pg_class where relnamespace = 'virtualpytest'::regnamespace)
      union all
      select indexdef from pg_indexes where schemaname = 'virtualpytest'
    ) as facts order by line collate "C"`
  const source = openDatabase({ url, log: silentLog })
  cleanUp(t, () => source.close())
  assert.deepEqual(await rowsOf(empty.db, facts), await rowsOf(source, facts))
})

test('T19, B1: a damaged backup is noticed, whatever is wrong with it, and nothing is changed', async (t) => {
  const { written } = await seededBackup(t, 300)
  const folder = temporaryFolder(t)
  const good = readFileSync(written.file)
  const text = gunzipSync(good).toString('utf8')
  const flipped = Buffer.from(good)
  flipped[Math.floor(good.length / 2)] = (flipped[Math.floor(good.length / 2)] ?? 0) ^ 0x10
  const kinds: Record<string, Buffer> = {
    'a flipped bit': flipped,
    'a missing end': good.subarray(0, good.length - 200),
    'only a beginning': good.subarray(0, 40),
    'nothing in it': Buffer.alloc(0),
    'no gzip': Buffer.from(text),
    'a changed value, packed again': gzipSync(text.replace('press OK', 'press KO')),
    'a missing row, packed again': gzipSync(text.replace(/^.*press OK.*\n/m, '')),
    'a missing last line, packed again': gzipSync(text.replace(/\{"tables".*\n$/, '')),
    'something behind it': gzipSync(`${text}more\n`),
    'another text': gzipSync('hello\n'),
  }
  const empty = await createTestDatabase(t, { empty: true })
  for (const [name, content] of Object.entries(kinds)) {
    const file = path.join(folder, 'damaged.backup.gz')
    writeFileSync(file, content)
    await assert.rejects(readBackup(file), { name: 'BackupError', code: 'damaged', message: /^The backup is damaged: / }, name)
    await assert.rejects(restoreBackup({ url: empty.url, file, log: silentLog }), { code: 'damaged' }, name)
    const schema = await firstRow(empty.db, sql<{ name: string | null }>`select to_regnamespace('virtualpytest')::text as name`)
    assert.equal(schema?.name, null, name)
  }
  await assert.rejects(readBackup(path.join(folder, 'none.gz')), { code: 'no_file' })
})

test('T19: a database that is in use is refused; --replace replaces it, completely or not at all', async (t) => {
  const { written } = await seededBackup(t, 50)
  const used = await createTestDatabase(t)
  await seedLab(used.url, 7)
  const before = await contentsOf(t, used.url)
  await assert.rejects(restoreBackup({ url: used.url, file: written.file, log: silentLog }), {
    code: 'not_empty',
    message: /not empty .*--replace/,
  })
  assert.deepEqual(await contentsOf(t, used.url), before)

  // Cut off at the last moment, after everything was dropped and loaded.
  const stopping = new AbortController()
  await assert.rejects(
    restoreBackup({
      url: used.url,
      file: written.file,
      log: silentLog,
      replace: true,
      signal: stopping.signal,
      onProgress: (text) => text === 'checking references' && stopping.abort(),
    }),
    { name: 'AbortError' },
  )
  assert.deepEqual(await contentsOf(t, used.url), before)

  await restoreBackup({ url: used.url, file: written.file, log: silentLog, replace: true })
  const runs = await firstRow(used.db, sql<{ n: number }>`select count(*)::int as n from runs`)
  assert.equal(runs?.n, 50)
})

test('T19: a database that was migrated and never used counts as empty', async (t) => {
  const { written } = await seededBackup(t, 5)
  const fresh = await createTestDatabase(t)
  await restoreBackup({ url: fresh.url, file: written.file, log: silentLog })
  const runs = await firstRow(fresh.db, sql<{ n: number }>`select count(*)::int as n from runs`)
  assert.equal(runs?.n, 5)
})

test('T19: a backup of an older version is restored and then migrated; one of a newer version is refused', async (t) => {
  const older = path.join(temporaryFolder(t), 'migrations')
  cpSync(migrationsFolder, older, { recursive: true })
  const files = readMigrations()
  for (const file of files.slice(6)) rmSync(path.join(older, file.file))
  const old = await createTestDatabase(t, { empty: true })
  await migrate({ url: old.url, folder: older, log: silentLog })
  await seedLab(old.url, 20)
  const written = await back(old.url, path.join(temporaryFolder(t), 'old.backup.gz'))

  const newer = path.join(temporaryFolder(t), 'newer')
  cpSync(migrationsFolder, newer, { recursive: true })
  const number = String(files.length + 1).padStart(4, '0')
  writeFileSync(path.join(newer, `${number}_added.sql`), 'alter table runs add column added int not null default 7;\n')
  const target = await createTestDatabase(t, { empty: true })
  const restored = await restoreBackup({ url: target.url, file: written.file, log: silentLog, migrationsFolder: newer })
  assert.equal(restored.version, files.length + 1)
  const added = await rowsOf(target.db, sql<{ added: number }>`select distinct added from runs`)
  assert.deepEqual(added, [{ added: 7 }])

  const future = await back(target.url, path.join(temporaryFolder(t), 'future.backup.gz'))
  const unused = await createTestDatabase(t, { empty: true })
  await assert.rejects(restoreBackup({ url: unused.url, file: future.file, log: silentLog }), {
    code: 'newer',
    message: new RegExp(`schema ${files.length + 1}.*knows schema ${files.length}`),
  })
})

test('T19: what is written during a backup is in it whole or not at all', async (t) => {
  const { url, db } = await createTestDatabase(t)
  await seedLab(url, 3000)
  let writing = true
  let batches = 0
  const writer = (async () => {
    for (; writing; batches += 1) {
      await sql`
        with run as (
          insert into runs (id, team_id, kind, name, host_name, device_key, status, source, deadline_at, timeout_seconds)
          select gen_random_uuid(), id, 'script', 'late', 'rack', 'device1', 'queued', 'api', now(), 60 from teams limit 1
          returning id
        )
        insert into run_steps (run_id, position, kind, name, started_at) select id, 1, 'block', 'late', now() from run`.execute(
        db.kysely,
      )
    }
  })()
  const written = await back(url, path.join(temporaryFolder(t), 'busy.backup.gz'))
  writing = false
  await writer
  assert.ok(batches > 0)
  const empty = await createTestDatabase(t, { empty: true })
  await restoreBackup({ url: empty.url, file: written.file, log: silentLog })
  const orphans = await firstRow(
    empty.db,
    sql<{ n: number }>`
      select count(*)::int as n from runs r
       where name = 'late' and not exists (select from run_steps s where s.run_id = r.id)`,
  )
  assert.equal(orphans?.n, 0)
  assert.ok(existsSync(written.file))
})

test('T19: a backup made by one major of PostgreSQL is restored by another, with the programs from npm', async (t) => {
  const { written } = await seededBackup(t, 200)
  const other = await startTestCluster({ binaries: 'npm' })
  cleanUp(t, () => other.stop())
  const empty = await createDatabase(other.adminUrl, 'other', { empty: true })
  // The digests of the rows are computed by the other server, and compared.
  await restoreBackup({ url: empty, file: written.file, log: silentLog })
  const again = await back(empty, path.join(temporaryFolder(t), 'again.backup.gz'))
  assert.deepEqual(
    again.tail.tables.find((table) => table.name === 'runs'),
    written.tail.tables.find((table) => table.name === 'runs'),
  )
  t.diagnostic(`${written.head.postgres} to ${again.head.postgres}`)
})
