import { sql } from 'kysely'
import { deleteInBatches } from '../../jobs/delete-in-batches.ts'
import type { Job } from '../../jobs/runner.ts'

/**
 * Settled questions are for the people who were there; leases that have ended are kept as long as the history that names them.
 * The last lease of a device stays: it tells why the device became free.
 */
export function deleteOldLeasesJob(options: {
  everyMs: number
  askHistoryDays: number
  statusHistoryDays: number
  batch?: number
}): Job {
  const { everyMs, askHistoryDays, statusHistoryDays, batch = 1000 } = options
  return {
    name: 'leases.delete-old',
    everyMs,
    leader: true,
    async run(context) {
      const asks = await deleteInBatches(
        context,
        sql`
          delete from lease_asks where id in (
            select id from lease_asks
             where status <> 'open' and answered_at < now() - make_interval(days => ${askHistoryDays}) order by answered_at limit ${batch})
          returning 1 as gone`,
        batch,
      )
      const leases = await deleteInBatches(
        context,
        sql`
          delete from leases where id in (
            select l.id from leases l
             where l.ended_at < now() - make_interval(days => ${statusHistoryDays})
               and (l.token is null or exists (select 1 from leases n where n.device_id = l.device_id and n.token > l.token))
               and not exists (select 1 from runs r where r.lease_id = l.id and r.status in ('assigned', 'running'))
             order by l.ended_at limit ${batch} for update skip locked)
          returning 1 as gone`,
        batch,
      )
      if (asks + leases > 0) context.log.info({ asks, leases }, 'old leases and questions deleted')
    },
  }
}
