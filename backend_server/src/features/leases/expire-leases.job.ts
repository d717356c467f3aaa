import { sql } from 'kysely'
import { inTransaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import { holdTerm } from '../../jobs/leader.ts'
import type { Job } from '../../jobs/runner.ts'
import { endLeases } from './lease.store.ts'

/**
 * Ends leases whose holder gave no sign of life. The lease of a run ends with the run (runs.sweep), so here it counts only
 * once no open run stands behind it; a person's lease lasts at least as long as a run that borrows it.
 */
export function expireLeasesJob(options: { everyMs: number; graceSeconds: number }): Job {
  return {
    name: 'leases.expire',
    everyMs: options.everyMs,
    leader: true,
    afterReadySeconds: options.graceSeconds,
    async run({ db, term }) {
      await inTransaction(db, async (tx) => {
        if (!(await holdTerm(tx, term))) return
        const due = await rowsOf(
          tx,
          sql<{ id: string }>`
            select l.id
              from leases l
             where l.status = 'held' and l.expires_at < now()
               and not exists (select 1 from runs r where r.lease_id = l.id and r.status in ('assigned', 'running'))
             order by l.device_id
             limit 500
               for update of l skip locked`,
        )
        await endLeases(
          tx,
          due.map((lease) => lease.id),
          { status: 'expired', reason: 'no sign of life from the holder' },
        )
      })
    },
  }
}
