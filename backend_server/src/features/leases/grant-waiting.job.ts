import { sql } from 'kysely'
import { inTransaction } from '../../db/database.ts'
import { firstRow, rowsOf } from '../../db/query.ts'
import type { Job } from '../../jobs/runner.ts'
import { grantNext } from './waiting.store.ts'

/**
 * The floor under the grants that happen as a lease ends: devices that became free otherwise (host back, maintenance over, a
 * run before them cancelled), and people whose heartbeats have begun again.
 */
export function grantWaitingJob(options: { everyMs: number }): Job {
  return {
    name: 'leases.grant',
    everyMs: options.everyMs,
    leader: false,
    async run({ db }) {
      const free = await rowsOf(
        db,
        sql<{ id: string }>`
          select distinct d.id from leases l join devices d on d.id = l.device_id
           where l.status = 'waiting' and l.expires_at > now() and d.status = 'available' limit 200`,
      )
      for (const { id } of free) {
        await inTransaction(db, async (tx) => {
          // Several servers do this at once: whoever has the device's row decides, the others go on.
          const mine = await firstRow(
            tx,
            sql`select 1 from devices where id = ${id} and status = 'available' for no key update skip locked`,
          )
          if (mine) await grantNext(tx, id)
        })
      }
    },
  }
}
