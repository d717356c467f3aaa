import { sql } from 'kysely'
import { inTransaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import { holdTerm } from '../../jobs/leader.ts'
import type { Job } from '../../jobs/runner.ts'
import { dropForgottenReaders } from './report-role.ts'

const keepDays = 30

/**
 * The users of dashboards have a statement timeout, but whoever sends SQL can also send `set statement_timeout = 0`, and can
 * take advisory locks, which migrations use. So their sessions are looked at from outside.
 */
export function endLongReadersJob(options: { everyMs: number; mostSeconds?: number }): Job {
  const { everyMs, mostSeconds = 15 } = options
  return {
    name: 'dashboards.end-long-readers',
    everyMs,
    leader: true,
    async run({ db, log, term }) {
      const ended = await rowsOf(
        db,
        sql<{ usename: string; pid: number }>`
          -- materialized: the function that ends a session must not be asked about any other
          with long as materialized (
            select a.usename, a.pid
              from pg_stat_activity a
              join report.readers r on r.role_name = a.usename
             where a.datname = current_database()
               and ((a.state <> 'idle' and coalesce(a.xact_start, a.query_start) < now() - make_interval(secs => ${mostSeconds}))
                    or a.pid in (select pid from pg_locks where locktype = 'advisory'))
          )
          select usename, pid from long where pg_terminate_backend(pid)`,
      )
      if (ended.length > 0) log.warn({ sessions: ended }, 'sessions of dashboards were ended')
      const dropped = await inTransaction(db, async (tx) => {
        if (!(await holdTerm(tx, term))) return []
        await sql`
          update report.readers set seen_at = now()
           where seen_at < now() - interval '1 hour' and role_name in (select usename from pg_stat_activity)`.execute(tx.kysely)
        return dropForgottenReaders(tx, keepDays)
      })
      if (dropped.length > 0) log.info({ roles: dropped }, 'database users of earlier installations were dropped')
    },
  }
}
