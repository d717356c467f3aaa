import { sql } from 'kysely'
import { deleteInBatches } from '../../jobs/delete-in-batches.ts'
import type { Job } from '../../jobs/runner.ts'

/** Availability is reported over a year and some; the last change of each device stays, for it says since when it is what it is. */
export function deleteOldHistoryJob(options: { everyMs: number; statusHistoryDays: number; batch?: number }): Job {
  const { everyMs, statusHistoryDays, batch = 1000 } = options
  return {
    name: 'devices.delete-old-history',
    everyMs,
    leader: true,
    async run(context) {
      let changes = 0
      for (const table of ['device_status_history', 'device_health_history']) {
        changes += await deleteInBatches(
          context,
          sql`
            delete from ${sql.table(table)} where id in (
              select h.id from ${sql.table(table)} h
               where h.at < now() - make_interval(days => ${statusHistoryDays})
                 and exists (select 1 from ${sql.table(table)} n where n.device_id = h.device_id and n.id > h.id)
               order by h.at limit ${batch})
            returning 1 as gone`,
          batch,
        )
      }
      if (changes > 0) context.log.info({ changes }, 'old history of devices deleted')
    },
  }
}
