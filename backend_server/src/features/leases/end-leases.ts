import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import { voidAsks } from './ask.store.ts'
import { closeLeases, emitLease, type LeaseEnd, type LeaseRow, leaseColumns, leaseTables } from './lease.row.ts'
import { grantNext } from './waiting.store.ts'

/**
 * Ends held leases and frees their devices (a device whose host is offline stays offline). Returns those it ended. Whoever
 * is first in the line of a freed device has it in the same transaction; a run that is first is assigned by its dispatcher.
 * The row of the device is locked even when its status stays: its host may come back at this moment and ask who holds it.
 * `beforeNext` ends what still stands on these leases, so that the next holder comes after it in the history.
 */
export async function endLeases(
  tx: Transaction,
  leaseIds: readonly string[],
  end: LeaseEnd<'released' | 'expired' | 'revoked'>,
  beforeNext?: () => Promise<void>,
): Promise<LeaseRow[]> {
  const ended = await closeLeases(tx, leaseIds, 'held', end)
  if (ended.length === 0) return ended
  await sql`
    update devices set status = case when status = 'leased' then 'available' else status end, updated_at = now()
     where id = any(${ended.map((lease) => lease.device_id)}::uuid[])`.execute(tx.kysely)
  for (const lease of ended) emitLease(tx, `lease.${end.status}`, lease, { reason: end.reason, by: end.by ?? null })
  await voidAsks(tx, { ofLeases: ended.map((lease) => lease.id) })
  await beforeNext?.()
  for (const lease of ended) await grantNext(tx, lease.device_id)
  return ended
}

/**
 * Gives leases back. One that an open run borrowed goes on as the lease of that run: the device is not free while a script
 * of its former holder works on it. What they did by hand (batches) ends with it. Returns those that ended.
 */
export async function releaseLeases(
  tx: Transaction,
  leaseIds: readonly string[],
  end: { reason: string; by?: string | null },
): Promise<LeaseRow[]> {
  if (leaseIds.length === 0) return []
  // Locked by a statement of its own: a run that borrows a lease locks it too, so the next statement sees every borrower.
  await sql`
    select 1 from leases where id = any(${leaseIds}::uuid[]) and status = 'held' order by id for no key update`.execute(tx.kysely)
  const kept = await rowsOf(
    tx,
    sql<LeaseRow>`
      with l as (
        update leases
           set holder_kind = 'run', holder_id = r.id::text, holder_name = r.name, holder_ip = null, purpose = r.name
          from runs r
         where leases.id = any(${leaseIds}::uuid[]) and leases.status = 'held'
           and r.lease_id = leases.id and r.kind <> 'batch' and r.status in ('assigned', 'running')
        returning leases.*
      )
      select ${leaseColumns} from ${leaseTables}`,
  )
  if (kept.length > 0) await voidAsks(tx, { ofLeases: kept.map((lease) => lease.id) })
  for (const lease of kept) emitLease(tx, 'lease.granted', lease, { until: lease.expires_at, handed_over: true })
  const rest = leaseIds.filter((id) => !kept.some((lease) => lease.id === id))
  return endLeases(tx, rest, { status: 'released', ...end })
}
