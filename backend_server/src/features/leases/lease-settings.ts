import { LeaseSettings } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { firstRow, type Queryable } from '../../db/query.ts'

/** Limits of a team; what is not set, or was set to nonsense by hand, has its default. */
export async function readLeaseSettings(db: Queryable, teamId: string): Promise<LeaseSettings> {
  const row = await firstRow(
    db,
    sql<{ leases: unknown }>`select coalesce(settings -> 'leases', '{}') as leases from teams where id = ${teamId}`,
  )
  const parsed = LeaseSettings.safeParse(row?.leases ?? {})
  return parsed.success ? parsed.data : LeaseSettings.parse({})
}

export async function writeLeaseSettings(tx: Queryable, teamId: string, settings: LeaseSettings): Promise<void> {
  await sql`
    update teams set settings = settings || jsonb_build_object('leases', ${JSON.stringify(settings)}::jsonb), updated_at = now()
     where id = ${teamId}`.execute(tx.kysely)
}
