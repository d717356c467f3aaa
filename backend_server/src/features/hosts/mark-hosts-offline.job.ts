import { sql } from 'kysely'
import { inTransaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import { holdTerm } from '../../jobs/leader.ts'
import type { Job } from '../../jobs/runner.ts'
import { markHostsOffline } from './host.store.ts'

/** Seconds, of a row of hosts. */
export const silentAfter = sql`(case when ping_interval_s is null then 660 else greatest(5, 3 * ping_interval_s) end)::float8`

/**
 * A host that announced its period is offline after three of them; an original host, which pings each 300 s, after 660 s.
 * The time counts anew from the moment this server became ready: hosts could not reach a server that was away.
 */
export function markHostsOfflineJob(options: { everyMs: number; graceSeconds: number }): Job {
  return {
    name: 'hosts.offline',
    everyMs: options.everyMs,
    leader: true,
    afterReadySeconds: options.graceSeconds,
    async run({ db, term, readySeconds }) {
      await inTransaction(db, async (tx) => {
        if (!(await holdTerm(tx, term))) return
        const silent = await rowsOf(
          tx,
          sql<{ id: string }>`
            select id from (
              select id, last_seen_at, ${silentAfter} as patience from hosts where status in ('online', 'draining')) h
             where last_seen_at < now() - make_interval(secs => patience) and patience < ${readySeconds}`,
        )
        await markHostsOffline(
          tx,
          silent.map((host) => host.id),
          'no sign of life',
        )
      })
    },
  }
}
