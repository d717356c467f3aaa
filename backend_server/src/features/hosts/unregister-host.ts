import { LabError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import type { Caller } from '../../http/caller.ts'
import { endLeases, listHeldLeases } from '../leases/index.ts'
import {
  assertMaySayGoodbye,
  assertMaySpeakFor,
  isOtherStart,
  lockHostByName,
  markHostsOffline,
  otherAgentError,
} from './host.store.ts'

/** Ends the open runs of a host that said it is going away. */
export type EndRunsOfHost = (tx: Transaction, hostId: string) => Promise<void>

/**
 * A host that goes away in good order: its runs and leases end, it is offline, its row stays. Runs and leases end once more
 * after that: until its devices were offline somebody could still claim them.
 */
export async function unregisterHost(
  tx: Transaction,
  caller: Caller,
  goodbye: { host_name: string; boot_id?: string | undefined },
  endRunsOfHost: EndRunsOfHost,
): Promise<void> {
  const host = await lockHostByName(tx, goodbye.host_name)
  if (!host) throw new LabError('host_not_found', { text: `Host "${goodbye.host_name}" not found` })
  assertMaySpeakFor(caller, { name: host.name, keyHash: host.key_hash })
  if (isOtherStart(host, goodbye.boot_id)) throw otherAgentError(host)
  assertMaySayGoodbye(host, caller)
  const endAll = async (): Promise<void> => {
    await endRunsOfHost(tx, host.id)
    const held = await listHeldLeases(tx, { teamId: host.team_id, hostName: host.name })
    await endLeases(
      tx,
      held.map((lease) => lease.id),
      { status: 'expired', reason: 'the host unregistered' },
    )
  }
  // Who waits for one of its devices must not be given it now: grants need a host that is online.
  await sql`update hosts set status = 'draining' where id = ${host.id} and status = 'online'`.execute(tx.kysely)
  await endAll()
  await markHostsOffline(tx, [host.id], 'unregistered')
  await endAll()
  // A run that borrowed one of these leases just before its end.
  await endRunsOfHost(tx, host.id)
}
