import { sql } from 'kysely'
import { type Database, inTransaction, type Transaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'
import { scramVerifier } from './scram.ts'

/*
 * The database user that reads for dashboards. Whoever looks at a dashboard can send any SQL as this user, so it may log in,
 * read the views of schema `report`, and nothing else; the views show it the rows of one team. Its name carries the
 * installation: the two servers of an overlapping deploy have different passwords and must not take the user from each other.
 */

export interface ReportRoleInput {
  teamId: string
  /** 8 hexadecimal digits. */
  installation: string
  password: string
}

/** The database does not let us make the user, or would let it do too much. The message says what to do. */
export class ReportRoleError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ReportRoleError'
  }
}

const roleSettings = {
  statement_timeout: "'10s'",
  lock_timeout: "'2s'",
  idle_in_transaction_session_timeout: "'30s'",
  default_transaction_read_only: 'on',
  search_path: 'report',
}
/** Two from Grafana (data-source.ts), and room for those of a Grafana that is being replaced. */
const mostConnections = 6

export const reportRoleName = ({ installation, teamId }: Pick<ReportRoleInput, 'installation' | 'teamId'>): string => {
  const name = `vpt_report_${installation}_${teamId.replaceAll('-', '').slice(0, 12)}`
  if (!/^[a-z0-9_]+$/.test(name)) throw new Error('installation and team id must be hexadecimal')
  return name
}

/** Makes the user, or brings it up to date; may be called at every start and by several servers. Returns its name. */
export async function ensureReportRole(db: Database, input: ReportRoleInput): Promise<string> {
  const role = reportRoleName(input)
  try {
    await inTransaction(db, (tx) => ensureInside(tx, role, input))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === '42501')) throw error
    const user = await firstRow(db, sql<{ name: string }>`select current_user as name`)
    throw new ReportRoleError(
      `The dashboards need a database user of their own, and "${user?.name}" may not make it. Run as an administrator of the database: alter role "${user?.name}" createrole`,
      error,
    )
  }
  return role
}

async function ensureInside(tx: Transaction, role: string, input: ReportRoleInput): Promise<void> {
  const run = (text: string): Promise<unknown> => sql.raw(text).execute(tx.kysely)
  await sql`select pg_advisory_xact_lock(hashtext('virtualpytest.report-roles'))`.execute(tx.kysely)
  const found = await firstRow(tx, sql`select 1 from pg_roles where rolname = ${role}`)
  if (!found) await run(`create role ${role}`)
  await run(`alter role ${role} with login password '${scramVerifier(input.password)}' connection limit ${mostConnections}`)
  for (const [name, value] of Object.entries(roleSettings)) await run(`alter role ${role} set ${name} = ${value}`)
  // So that this server may see and end what the user does (end-long-readers.job.ts).
  const member = await firstRow(tx, sql<{ is: boolean }>`select pg_has_role(current_user, ${role}, 'usage') as is`)
  if (!member?.is) await run(`grant ${role} to current_user`)
  await run(`grant usage on schema report to ${role}`)
  const views = await rowsOf(
    tx,
    sql<{ name: string }>`select quote_ident(relname) as name from pg_class
                           where relnamespace = 'report'::regnamespace and relkind = 'v'`,
  )
  for (const { name } of views) await run(`grant select on report.${name} to ${role}`)
  await sql`
    insert into report.readers (role_name, team_id) values (${role}, ${input.teamId})
    on conflict (role_name) do update set team_id = excluded.team_id, seen_at = now()`.execute(tx.kysely)
  await assertHarmless(tx, role)
}

/** What PUBLIC was given in this database counts for the user too; better no dashboards than that. */
async function assertHarmless(tx: Transaction, role: string): Promise<void> {
  const row = await firstRow(
    tx,
    sql<{ can: string | null }>`
      select concat_ws(', ',
               case when has_schema_privilege(${role}, 'virtualpytest', 'usage') then 'use the schema virtualpytest' end,
               case when has_schema_privilege(${role}, 'report', 'create') then 'create in the schema report' end,
               case when has_table_privilege(${role}, 'report.readers', 'select') then 'read report.readers' end,
               case when has_table_privilege(${role}, 'report.organizations', 'select') then 'read report.organizations' end,
               case when exists (select from pg_auth_members where member = (select oid from pg_roles where rolname = ${role}))
                    then 'act for other users' end,
               case when (select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
                            from pg_roles where rolname = ${role}) then 'administer' end) as can`,
  )
  if (row?.can)
    throw new ReportRoleError(`In this database every user may ${row.can}. Revoke that from PUBLIC, or set GRAFANA=off.`)
}

/** The users of a server that runs are not forgotten, also while nobody looks at dashboards for months. */
export async function noteReadersSeen(db: Queryable, installation: string): Promise<void> {
  await sql`
    update report.readers set seen_at = now()
     where role_name like ${`vpt\\_report\\_${installation}\\_%`} and seen_at < now() - interval '1 hour'`.execute(db.kysely)
}

/** Removes users that no installation has used for long; each deploy with an empty data folder leaves one behind. */
export async function dropForgottenReaders(tx: Transaction, keepDays: number): Promise<string[]> {
  const forgotten = await rowsOf(
    tx,
    sql<{ role_name: string }>`
      select role_name from report.readers
       where seen_at < now() - make_interval(days => ${keepDays})
         and role_name not in (select usename from pg_stat_activity where usename is not null)
         and role_name ~ '^vpt_report_[a-z0-9_]+$'`,
  )
  for (const { role_name: role } of forgotten) {
    const exists = await firstRow(tx, sql`select 1 from pg_roles where rolname = ${role}`)
    if (exists) await sql.raw(`drop owned by ${role}; drop role ${role}`).execute(tx.kysely)
    await sql`delete from report.readers where role_name = ${role}`.execute(tx.kysely)
  }
  return forgotten.map((one) => one.role_name)
}
