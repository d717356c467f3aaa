import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { sql } from 'kysely'
import { closeClient, connectClient } from '../../src/db/client.ts'
import { migrate } from '../../src/db/migrate.ts'
import { migrationsFolder, readMigrations } from '../../src/db/migration-files.ts'
import { rowsOf } from '../../src/db/query.ts'
import { seedLab } from '../backups/seed.ts'
import { startLab } from '../start-lab.ts'
import { silentLog, withAdmin } from '../test-cluster.ts'
import { createTestDatabase, testAdminUrl } from '../test-db.ts'
import { cleanUp } from './tools.ts'

// The schema beside what Supabase puts into a database: a public role, tables of the original server, rights that every new
// table gets by itself. It must work there, leave everything alone, and be closed to everybody but the server.

const ours = "('virtualpytest', 'report')"

/** A migrated database in which `anon` gets every right that Supabase gives by default, and more. */
async function makeSupabaseLike(t: TestContext): Promise<{ url: string; anonUrl: string }> {
  const { url } = await createTestDatabase(t, { empty: true })
  const admin = new URL(await testAdminUrl())
  // Roles belong to the whole cluster of this test run, which goes after it.
  const anon = `anon_${randomUUID().slice(0, 8)}`
  admin.pathname = new URL(url).pathname
  await withAdmin(admin.href, async (client) => {
    const owner = new URL(url).username
    await client.query(`
      create role ${anon} login password 'public-knowledge';
      create schema auth; create schema storage;
      create table auth.users (id uuid primary key, email text); insert into auth.users values (gen_random_uuid(), 'a@b.c');
      create table public.hosts (id int); insert into public.hosts values (1), (2);
      create table public.alerts (id int); insert into public.alerts values (1);
      grant usage on schema public, auth to ${owner}; grant select on public.hosts, public.alerts to ${owner};
      alter default privileges grant all on schemas to ${anon};
      alter default privileges for role ${owner} grant all on schemas to ${anon};
      alter default privileges for role ${owner} grant all on tables to ${anon};
      alter default privileges for role ${owner} grant all on sequences to ${anon};
      alter default privileges for role ${owner} grant all on functions to ${anon}`)
  })
  await migrate({ url, log: silentLog })
  const anonUrl = new URL(url)
  anonUrl.username = anon
  anonUrl.password = 'public-knowledge'
  return { url, anonUrl: anonUrl.href }
}

test('D7: the public role of a database gets no row of any table, even where it was granted everything', async (t) => {
  const { url, anonUrl } = await makeSupabaseLike(t)
  await seedLab(url, 20)
  const client = await connectClient(anonUrl, { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 })
  cleanUp(t, () => closeClient(client))
  const { rows: tables } = await client.query<{ name: string; closed: boolean; granted: boolean }>(
    `select format('%I.%I', n.nspname, c.relname) as name,
            c.relrowsecurity or 'security_invoker=true' = any(c.reloptions) as closed, has_table_privilege(c.oid, 'select') as granted
       from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in ${ours} and c.relkind in ('r', 'p', 'v')`,
  )
  assert.ok(tables.length > 15)
  assert.ok(
    tables.some(({ granted }) => granted),
    'the test gives rights that row security has to make harmless',
  )
  const readable: string[] = []
  for (const { name } of tables) {
    const found = await client.query(`select * from ${name} limit 1`).then(
      ({ rows }) => rows.length,
      () => 0,
    )
    if (found > 0) readable.push(`${name} is readable`)
    for (const change of [`delete from ${name}`, `insert into ${name} default values`]) {
      const count = await client.query(change).then(
        (result) => result.rowCount,
        () => 0,
      )
      if (count) readable.push(`${change} changed ${count} rows`)
    }
  }
  assert.deepEqual(readable, [])
  const open = tables.filter(({ name, closed }) => !closed && !name.startsWith('report.')).map(({ name }) => name)
  assert.deepEqual(open, [], 'each table of a migration says: enable row level security; each view: security_invoker')
})

test('D7, M3: a server works in such a database, and leaves tables of others alone', async (t) => {
  const { url } = await makeSupabaseLike(t)
  const lab = await startLab(t, { databaseUrl: url })
  assert.equal((await lab.get<{ hosts: unknown[] }>('/server/system/getAllHosts')).body.hosts.length, 1)
  const others = await rowsOf(
    lab.db,
    sql<{ n: number }>`select (select count(*) from public.hosts)::int as n union all select count(*)::int from public.alerts`,
  )
  assert.deepEqual(
    others.map(({ n }) => n),
    [2, 1],
  )
})

test('M3, M1: migrations are plain PostgreSQL and drop nothing', () => {
  for (const { file } of readMigrations()) {
    const text = readFileSync(path.join(migrationsFolder, file), 'utf8').replaceAll(/--(?!!).*$/gm, '')
    assert.doesNotMatch(text, /\bauth\.|\bstorage\.|pg_cron|cron\.|create extension|\b(anon|authenticated|service_role)\b/i, file)
    if (!/^--! breaking/m.test(text)) assert.doesNotMatch(text, /\bdrop\s+(table|column|schema)\b|\btruncate\b|\bcascade;/i, file)
  }
})

test('M1: a second run of all migrations changes no table and no row', async (t) => {
  const { url, db } = await createTestDatabase(t, { empty: true })
  await migrate({ url, log: silentLog })
  await seedLab(url, 50)
  const counts = async (): Promise<unknown> => {
    const tables = await rowsOf(
      db,
      sql<{ name: string }>`select format('%I.%I', schemaname, tablename) as name from pg_tables
                             where schemaname in ('virtualpytest', 'report') order by 1`,
    )
    const found = []
    for (const { name } of tables) {
      const [row] = await rowsOf(
        db,
        sql<{ n: number; last: string | null }>`
        select count(*)::int as n, max(xmin::text::bigint)::text as last from ${sql.raw(name)}`,
      )
      found.push([name, row])
    }
    return found
  }
  const before = await counts()
  assert.deepEqual((await migrate({ url, log: silentLog })).applied, [])
  assert.deepEqual(await counts(), before)
})
