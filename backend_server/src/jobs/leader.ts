import { performance } from 'node:perf_hooks'
import { sql } from 'kysely'
import type { Database, Transaction } from '../db/database.ts'
import { firstRow } from '../db/query.ts'

/*
 * Background duties run on one server at a time: the holder of the leader lease. Each grant to another holder raises the
 * term, and every write of a job holds the row of its term, so a leader that slept cannot write beside its successor.
 * The time of trust counts from before the renewal was sent, not from its answer.
 */
export const leaderSeconds = 15
const leaderName = 'background'

export interface LeaderTerm {
  term: number
  /** `performance.now()` until which this process may believe itself leader. */
  trustedUntil: number
}

/** Takes or renews the lease; undefined while another server holds it. */
export async function takeLeadership(db: Database, holder: string): Promise<LeaderTerm | undefined> {
  const asked = performance.now()
  const row = await firstRow(
    db,
    sql<{ term: number }>`
      insert into leader_leases as l (name, holder, term, expires_at)
      values (${leaderName}, ${holder}, 1, now() + make_interval(secs => ${leaderSeconds}))
      on conflict (name) do update
         set holder = excluded.holder,
             term = case when l.holder = excluded.holder and l.expires_at > now() then l.term else l.term + 1 end,
             expires_at = excluded.expires_at
       where l.expires_at <= now() or l.holder = excluded.holder
      returning term`,
  )
  return row && { term: row.term, trustedUntil: asked + leaderSeconds * 1000 }
}

/** Gives the lease back at a stop, so that the next server need not wait for its end. */
export async function releaseLeadership(db: Database, holder: string): Promise<void> {
  await sql`update leader_leases set expires_at = now() where name = ${leaderName} and holder = ${holder}`.execute(db.kysely)
}

/** True while the term is valid; the row stays locked until the transaction ends, so nobody takes over in between. */
export async function holdTerm(tx: Transaction, term: number): Promise<boolean> {
  const row = await firstRow(
    tx,
    sql`select 1 from leader_leases where name = ${leaderName} and term = ${term} and expires_at > now() for share`,
  )
  return row !== undefined
}
