import { sql } from 'kysely'
import { inTransaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import { holdTerm } from '../../jobs/leader.ts'
import type { Job } from '../../jobs/runner.ts'

/**
 * Events are kept for some days; clients that were away longer begin anew. They go from the lowest number up and without
 * leaving a hole, because "what is kept begins at n" is what a client is told. Short transactions: each holds the term.
 */
export function deleteOldEventsJob(options: { everyMs: number; keepDays?: number; chunk?: number }): Job {
  const { everyMs, keepDays = 7, chunk = 5000 } = options
  return {
    name: 'events.delete-old',
    everyMs,
    leader: true,
    async run({ db, log, term, signal }) {
      let total = 0
      for (;;) {
        const deleted = await inTransaction(db, async (tx) => {
          if (signal.aborted || !(await holdTerm(tx, term))) return 0
          const row = await firstRow(
            tx,
            sql<{ deleted: number }>`
              with first as (
                select seq, at < now() - make_interval(days => ${keepDays}) as old from events order by seq limit ${chunk}
              ), gone as (
                delete from events
                 where seq in (select seq from first
                                where seq < coalesce((select min(seq) from first where not old), (select max(seq) + 1 from first)))
                returning 1
              )
              select count(*)::int as deleted from gone`,
          )
          return row?.deleted ?? 0
        })
        total += deleted
        if (deleted < chunk) break
      }
      if (total > 0) log.info({ events: total }, 'old events deleted')
    },
  }
}
