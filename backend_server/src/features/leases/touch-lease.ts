import { sql } from 'kysely'
import type { Queryable } from '../../db/query.ts'
import type { LeaseRow } from './lease.row.ts'
import { personSeconds } from './lease.store.ts'

/** Calls closer together than this are one sign of life: somebody who presses keys must not write a row for each. */
const touchEverySeconds = 5

/**
 * A call of the holder on the device: the lease lasts as long as after any sign of life, plus the time in which the next calls are not
 * written. Nothing is sent to the database while the last written sign of life is young, unless somebody has asked for the device:
 * what the holder does after the question is the answer to it.
 */
export async function touchLease(
  db: Queryable,
  lease: Pick<LeaseRow, 'id' | 'last_activity_at'> & { is_asked?: boolean },
  nowMs: number = Date.now(),
): Promise<void> {
  const age = nowMs - Date.parse(lease.last_activity_at)
  if (!lease.is_asked && age >= 0 && age < touchEverySeconds * 1000) return
  await sql`
    update leases
       set last_activity_at = now(),
           expires_at = greatest(expires_at, now() + ${personSeconds} + make_interval(secs => ${touchEverySeconds}))
     where id = ${lease.id} and status = 'held'`.execute(db.kysely)
}
