import { sql } from 'kysely'
import { type Database, inTransaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'

export interface Organization {
  number: number
  /** Null where the team is gone; its number is never given to another. */
  teamId: string | null
  teamName: string | null
}

/**
 * The organization of each team, by the number that Grafana gives it. Grafana counts from 1 and forgets everything when its
 * folder is lost; kept here, the numbers survive that, and no number ever means another team.
 */
export async function assignOrganizations(db: Database): Promise<Organization[]> {
  const missing = await rowsOf(
    db,
    sql`select from teams where id not in (select team_id from report.organizations where team_id is not null) limit 1`,
  )
  if (missing.length > 0)
    await inTransaction(db, async (tx) => {
      await sql`select pg_advisory_xact_lock(hashtext('virtualpytest.organizations'))`.execute(tx.kysely)
      await sql`
        insert into report.organizations (number, team_id)
        select (select max(number) from report.organizations) + row_number() over (order by created_at, id), id
          from teams
         where id not in (select team_id from report.organizations where team_id is not null)`.execute(tx.kysely)
    })
  return rowsOf(
    db,
    sql<Organization>`
      select o.number, o.team_id as "teamId", t.name as "teamName"
        from report.organizations o left join teams t on t.id = o.team_id order by o.number`,
  )
}
