import { sql } from 'kysely'
import { inTransaction } from '../../db/database.ts'
import { holdTerm } from '../../jobs/leader.ts'
import type { Job } from '../../jobs/runner.ts'
import { endAlerts } from './alert.store.ts'

const goneSeconds = 600

/** An alert of a device that has been gone for ten minutes ends: nobody is left who could see its end. */
export function resolveGoneAlertsJob(options: { everyMs: number; graceSeconds: number }): Job {
  return {
    name: 'alerts.resolve-gone',
    everyMs: options.everyMs,
    leader: true,
    afterReadySeconds: options.graceSeconds,
    async run({ db, term }) {
      await inTransaction(db, async (tx) => {
        if (!(await holdTerm(tx, term))) return
        const gone = sql`a.device_id in (
          select d.id from devices d join hosts h on h.id = d.host_id
           where (h.status = 'offline' and h.last_seen_at < now() - make_interval(secs => ${goneSeconds})) or not d.present)`
        await endAlerts(tx, gone, null, 'device_gone')
      })
    },
  }
}
