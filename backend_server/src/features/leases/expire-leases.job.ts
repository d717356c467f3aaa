import { sql } from 'kysely'
import { inTransaction, type Transaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import { holdTerm } from '../../jobs/leader.ts'
import type { Job } from '../../jobs/runner.ts'
import { settleSilentAsks } from './ask-holder.ts'
import { endLeases } from './end-leases.ts'
import { endWaiting } from './waiting.store.ts'

/**
 * Ends leases whose holder gave no sign of life, places in lines whose client is gone, and countdowns that ran out. The
 * lease of a run ends with the run (runs.sweep), so here it counts only once no open run stands behind it.
 */
export function expireLeasesJob(options: { everyMs: number; graceSeconds: number }): Job {
  return {
    name: 'leases.expire',
    everyMs: options.everyMs,
    leader: true,
    afterReadySeconds: options.graceSeconds,
    async run({ db, term }) {
      // One transaction each: a line that is being granted holds up nobody but its own device.
      for (const work of [expirePlaces, expireHeld, settleSilentAsks]) {
        await inTransaction(db, async (tx) => {
          if (await holdTerm(tx, term)) await work(tx)
        })
      }
    },
  }
}

async function expireHeld(tx: Transaction): Promise<void> {
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
}

async function expirePlaces(tx: Transaction): Promise<void> {
  const gone = await rowsOf(
    tx,
    sql<{ id: string }>`
      select id from leases where status = 'waiting' and expires_at < now() order by id limit 500 for update skip locked`,
  )
  await endWaiting(
    tx,
    gone.map((lease) => lease.id),
    { status: 'expired', reason: 'no sign of life from who waits' },
  )
}
