import { LabError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { inTransaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import { holdTerm } from '../../jobs/leader.ts'
import type { Job } from '../../jobs/runner.ts'
import { beginCheck, type CheckOrder } from './health-check.store.ts'
import type { HealthChecks } from './health-checks.ts'

/** Checks that come to no verdict, because the host cannot be asked, are not repeated sooner. */
const againSeconds = 600
const atOnce = 5

/** Checks suspect devices that nobody uses, and all others that are not bad when their last check is `hours` old (0: never). */
export function checkIdleDevicesJob(options: {
  everyMs: number
  graceSeconds: number
  hours: number
  checks: HealthChecks
}): Job {
  return {
    name: 'devices.check-idle',
    everyMs: options.everyMs,
    leader: true,
    // Hosts come back to a server that was away; before, they cannot be asked.
    afterReadySeconds: options.graceSeconds,
    async run({ db, log, term, signal }) {
      const due = await rowsOf(
        db,
        sql<CheckOrder['device'] & { teamId: string }>`
          select d.id, d.team_id as "teamId", d.device_key as key, d.name, d.model, h.id as "hostId", h.name as "hostName"
            from devices d join hosts h on h.id = d.host_id
           where d.status = 'available' and d.present and h.status = 'online'
             and (d.health = 'suspect'
                  or ${options.hours} > 0 and d.health <> 'bad'
                     and coalesce(d.health_checked_at, '-infinity') < now() - make_interval(hours => ${options.hours}))
             and not exists (select 1 from device_line w where w.device_id = d.id)
             and not exists (
               select 1 from runs r
                where r.device_id = d.id and r.kind = 'health_check' and r.source = 'health'
                  and r.queued_at > now() - make_interval(secs => ${againSeconds}))
           order by d.health_checked_at nulls first, d.id
           limit ${atOnce}`,
      )
      for (const { teamId, ...device } of due) {
        if (signal.aborted) return
        const order = { teamId, device, source: 'health' as const, requestedBy: null, requestedIp: null }
        const run = await inTransaction(db, async (tx) => {
          if (await holdTerm(tx, term)) return beginCheck(tx, order)
          return undefined
        }).catch((error: unknown) => {
          // Somebody took it at this moment: it is not idle.
          if (!(error instanceof LabError)) throw error
          log.debug({ host_name: device.hostName, device_id: device.key, code: error.code }, 'a device is not checked now')
          return undefined
        })
        if (run) options.checks.perform(run)
      }
    },
  }
}
