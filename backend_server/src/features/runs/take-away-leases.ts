import type { Transaction } from '../../db/database.ts'
import { endLeases, type LeaseRow } from '../leases/index.ts'
import { cancelRunsOfLeases } from './cancel-run.ts'
import type { RunRow } from './run.store.ts'

/**
 * Takes devices away from whoever holds them. The runs on these leases end first, and with them their own leases; then what
 * is left of the leases; then a run that borrowed one of them in between, because after its end nobody can borrow it; then the
 * lines of the devices move on.
 */
export async function takeAwayLeases(
  tx: Transaction,
  leaseIds: readonly string[],
  end: { reason: string; by: string | null },
): Promise<{ leases: LeaseRow[]; runs: RunRow[] }> {
  const reason = `the device was taken away: ${end.reason}`
  const runs = await cancelRunsOfLeases(tx, leaseIds, reason)
  const leases = await endLeases(tx, leaseIds, { status: 'revoked', ...end }, async () => {
    runs.push(...(await cancelRunsOfLeases(tx, leaseIds, reason)))
  })
  return { leases, runs }
}
