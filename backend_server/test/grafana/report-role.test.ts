import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { sql } from 'kysely'
import pg from 'pg'
import { pino } from 'pino'
import { inTransaction, openDatabase } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { endLongReadersJob } from '../../src/features/dashboards/end-long-readers.job.ts'
import { dropForgottenReaders, ensureReportRole, ReportRoleError } from '../../src/features/dashboards/report-role.ts'
import { takeLeadership } from '../../src/jobs/leader.ts'
import { silentLog, withAdmin } from '../test-cluster.ts'
import { createTestDatabase, testAdminUrl } from '../test-db.ts'
import { until } from '../until.ts'
import { createReportDatabase, openReader } from './reader.ts'
import { addRun } from './seed-runs.ts'

test('G5: whoever sends SQL through a dashboard reads the views of its team and nothing else', async (t) => {
  const database = await createReportDatabase(t)
  await addRun(database.db)
  const reader = await openReader(t, database)
  assert.equal((await reader.query('select * from report.script_results')).length, 1)
  const refused: [statement: string, because: RegExp][] = [
    ['select * from virtualpytest.api_tokens', /permission denied for schema virtualpytest/],
    ['select * from virtualpytest.hosts', /permission denied/],
    ['select * from report.readers', /permission denied for table readers/],
    ["insert into report.readers values ('x', gen_random_uuid())", /permission denied|read-only/],
    ['insert into report.script_results (run_id) values (null)', /permission denied|read-only|cannot insert/],
    ['set transaction read write; delete from report.counted_runs', /permission denied|cannot delete/],
    ['begin read write; create table report.mine (a int)', /permission denied for schema report/],
    ['begin read write; create table public.mine (a int)', /permission denied for schema public/],
    ['create temp table mine (a int)', /read-only/],
    ['create role mine', /permission denied|read-only/],
    ['alter role current_user set default_transaction_read_only = off', /permission denied|read-only/],
    ['set role vpt_test', /permission denied to set role/],
    ['select pg_read_file($$/etc/passwd$$)', /permission denied/],
    ["copy (select 1) to program 'true'", /permission denied|must be superuser/],
    ['alter view report.script_results reset (security_barrier)', /must be owner|read-only/],
    ['select virtualpytest.count_host_listing()', /permission denied/],
  ]
  for (const [statement, because] of refused) {
    await assert.rejects(reader.query(statement), because, statement)
    await reader.query('rollback')
  }
  const settings = await reader.query<{ name: string; setting: string }>(
    "select name, setting from pg_settings where name in ('statement_timeout', 'lock_timeout', 'default_transaction_read_only') order by name",
  )
  assert.deepEqual(
    settings.map((one) => one.setting),
    ['on', '2000', '10000'],
  )
})

test('N13: each team has a user of its own, and no SQL shows it another team', async (t) => {
  const database = await createReportDatabase(t)
  const { db } = database
  const otherTeam = randomUUID()
  await sql`insert into teams (id, name) values (${otherTeam}, 'Other')`.execute(db.kysely)
  await addRun(db, { name: 'ours.py' })
  await addRun(db, { name: 'theirs.py', teamId: otherTeam, error: 'their secret', status: 'failed' })
  const ours = await openReader(t, database)
  const theirs = await openReader(t, database, { teamId: otherTeam })
  const scripts = async (reader: typeof ours): Promise<string[]> =>
    (await reader.query<{ script: string }>('select script from report.script_results')).map((one) => one.script)
  assert.deepEqual(await scripts(ours), ['ours.py'])
  assert.deepEqual(await scripts(theirs), ['theirs.py'])
  assert.deepEqual(
    await ours.query(`select * from report.counted_runs where team_id = '${otherTeam}' or true and script = 'theirs.py'`),
    [],
  )

  // A function of the viewer's must not see a row before the team is compared: pg_temp is the only place to make one.
  await ours.query('set default_transaction_read_only = off')
  await ours.query(`create function pg_temp.tell(seen text) returns boolean language plpgsql cost 0.0000001
                    as $$ begin raise notice 'seen %', seen; return true; end $$`)
  const notices: string[] = []
  ours.client.on('notice', (notice) => notices.push(notice.message ?? ''))
  await ours.query('select 1 from report.script_results where pg_temp.tell(script || coalesce(error, $$$$))')
  assert.deepEqual(notices, ['seen ours.py'])
  // Errors repeat values; those of others must not be among them.
  await assert.rejects(ours.query('select 1 from report.script_results where script::int = 1'), /ours\.py/)
  await assert.rejects(
    ours.query('select 1 / (case when script = $$theirs.py$$ then 0 else 0 end) from report.counted_runs'),
    /division by zero/,
  )
  assert.deepEqual(
    await theirs.query('select 1 / (case when script = $$ours.py$$ then 0 else 1 end) as one from report.counted_runs'),
    [{ one: 1 }],
  )

  // A user that belongs to no team sees none.
  await sql`delete from report.readers where role_name = ${theirs.role}`.execute(db.kysely)
  assert.deepEqual(await scripts(theirs), [])
})

test('T5: making the user again changes nothing for who is logged in, and two installations keep apart', async (t) => {
  const database = await createReportDatabase(t)
  const first = await openReader(t, database, { installation: 'aaaaaaaa' })
  const again = { teamId: defaultTeamId, installation: 'aaaaaaaa', password: first.password }
  await Promise.all([ensureReportRole(database.db, again), ensureReportRole(database.db, again)])
  const second = await openReader(t, database, { installation: 'bbbbbbbb' })
  assert.notEqual(first.role, second.role)
  for (const reader of [first, second])
    assert.deepEqual(await reader.query('select count(*)::int as n from report.script_results'), [{ n: 0 }])
  const { rows } = await withAdmin(await testAdminUrl(), (admin) =>
    admin.query<{ rolpassword: string }>('select rolpassword from pg_authid where rolname = $1', [first.role]),
  )
  assert.match(rows[0]?.rolpassword ?? '', /^SCRAM-SHA-256\$4096:/)
})

test('G5: a database that gives everybody too much gets no user, and neither does one that may make none', async (t) => {
  const database = await createReportDatabase(t)
  const input = { teamId: defaultTeamId, installation: randomBytes(4).toString('hex'), password: 'x'.repeat(32) }
  await sql`grant usage on schema virtualpytest to public`.execute(database.db.kysely)
  await assert.rejects(ensureReportRole(database.db, input), (error) => {
    assert.ok(error instanceof ReportRoleError)
    assert.match(error.message, /every user may use the schema virtualpytest/)
    return true
  })
  await withAdmin(await testAdminUrl(), async (admin) => {
    const { rows } = await admin.query('select 1 from pg_roles where rolname like $1', [`%${input.installation}%`])
    assert.deepEqual(rows, [], 'the user is not left behind')
  })

  const plain = await createTestDatabase(t, { empty: true })
  const owner = `vpt_plain_${randomBytes(4).toString('hex')}`
  const name = new URL(plain.url).pathname.slice(1)
  await withAdmin(await testAdminUrl(), async (admin) => {
    await admin.query(`create role ${owner} login password 'plain'`)
    await admin.query(`alter database ${pg.escapeIdentifier(name)} owner to ${owner}`)
  })
  const url = new URL(plain.url)
  url.username = owner
  url.password = 'plain'
  await migrate({ url: url.href, log: silentLog })
  const db = openDatabase({ url: url.href, log: silentLog })
  t.after(() => db.close())
  await assert.rejects(ensureReportRole(db, input), (error) => {
    assert.ok(error instanceof ReportRoleError)
    assert.match(error.message, new RegExp(`alter role "${owner}" createrole`))
    return true
  })
})

test('G5: a viewer who switches the time limit off, or takes a lock of ours, is ended from outside', async (t) => {
  const database = await createReportDatabase(t)
  const { db } = database
  const slow = await openReader(t, database)
  const locking = await openReader(t, database)
  const idle = await openReader(t, database)
  const term = await takeLeadership(db, 'test')
  assert.ok(term)
  const job = endLongReadersJob({ everyMs: 1000, mostSeconds: 1 })
  const run = (): Promise<void> =>
    job.run({ db, log: pino({ level: 'silent' }), signal: new AbortController().signal, readySeconds: 100, term: term.term })
  await slow.query('set statement_timeout = 0')
  const sleeping = slow.query('select pg_sleep(60)').catch((error: unknown) => error)
  await locking.query('select pg_advisory_lock(42)')
  await until('both are ended', async () => {
    await run()
    const alive = await sql<{ n: number }>`
      select count(*)::int as n from pg_stat_activity where usename in (${slow.role}, ${locking.role})`.execute(db.kysely)
    return alive.rows[0]?.n === 0
  })
  assert.ok((await sleeping) instanceof Error)
  assert.deepEqual(await idle.query('select 1 as one'), [{ one: 1 }])
})

test('T5: users of installations that are long gone are dropped, those in use stay', async (t) => {
  const database = await createReportDatabase(t)
  const { db } = database
  const used = await openReader(t, database, { installation: 'cccccccc' })
  const gone = await ensureReportRole(db, { teamId: defaultTeamId, installation: 'dddddddd', password: 'x'.repeat(32) })
  assert.deepEqual(await inTransaction(db, (tx) => dropForgottenReaders(tx, 30)), [])
  await sql`update report.readers set seen_at = now() - interval '31 days'`.execute(db.kysely)
  assert.deepEqual(await inTransaction(db, (tx) => dropForgottenReaders(tx, 30)), [gone])
  const roles = await sql<{ rolname: string }>`select rolname from pg_roles where rolname in (${gone}, ${used.role})`.execute(
    db.kysely,
  )
  assert.deepEqual(
    roles.rows.map((one) => one.rolname),
    [used.role],
  )
})
