import { LabError } from '@virtualpytest/shared'
import type { Transaction } from '../../db/database.ts'
import type { Caller } from '../../http/caller.ts'
import { endLeases, listHeldLeases } from '../leases/index.ts'
import { assertMaySayGoodbye, assertMaySpeakFor, lockHostByName, markHostsOffline } from './host.store.ts'

/** Ends the open runs of a host that said it is going away. */
export type EndRunsOfHost = (tx: Transaction, hostId: string) => Promise<void>

/**
 * A host that goes away in good order: it is offline, its runs and leases end, its row stays. Its devices go offline first,
 * so that nobody claims them meanwhile; runs are ended again last, because one may have borrowed a lease before that ended.
 */
export async function unregisterHost(
  tx: Transaction,
  caller: Caller,
  hostName: string,
  endRunsOfHost: EndRunsOfHost,
): Promise<void> {
  const host = await lockHostByName(tx, hostName)
  if (!host) throw new LabError('host_not_found', { text: `Host "${hostName}" not found` })
  assertMaySpeakFor(caller, { name: host.name, keyHash: host.key_hash })
  assertMaySayGoodbye(host, caller)
  await markHostsOffline(tx, [host.id], 'unregistered')
  await endRunsOfHost(tx, host.id)
  const held = await listHeldLeases(tx, { teamId: host.team_id, hostName: host.name })
  await endLeases(
    tx,
    held.map((lease) => lease.id),
    { status: 'expired', reason: 'the host unregistered' },
  )
  await endRunsOfHost(tx, host.id)
}
