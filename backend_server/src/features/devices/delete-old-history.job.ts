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
      const changes = await deleteInBatches(
        context,
        sql`
          delete from device_status_history where id in (
            select h.id from device_status_history h
             where h.at < now() - make_interval(days => ${statusHistoryDays})
               and exists (select 1 from device_status_history n where n.device_id = h.device_id and n.id > h.id)
             order by h.at limit ${batch})
          returning 1 as gone`,
        batch,
      )
      if (changes > 0) context.log.info({ changes }, 'old status history deleted')
    },
  }
}
