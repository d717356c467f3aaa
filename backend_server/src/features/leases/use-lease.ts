import { LabError, leaseSeconds } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import { releaseLeases } from './end-leases.ts'
import { ownsLease, shownHolder } from './holder.ts'
import { emitLease, type Holder, type LeaseRow, leaseColumns, leaseTables } from './lease.row.ts'
import { lockLease } from './lease.store.ts'
import { readLeaseSettings } from './lease-settings.ts'
import { endWaiting, someoneWaits } from './waiting.store.ts'

/** Who does something with a lease of theirs, held or waiting. */
export interface LeaseUse {
  id: string
  teamId: string
  holder: Holder
  byAddress: boolean
}

/** The lease, locked; refuses strangers, and says why and by whom an ended one ended. */
async function lockOwn(tx: Transaction, use: LeaseUse): Promise<LeaseRow> {
  const lease = await lockLease(tx, use)
  if (!ownsLease(lease, use.holder, use.byAddress))
    throw new LabError('forbidden', { text: 'This lease belongs to somebody else.' })
  if (lease.status === 'held' || lease.status === 'waiting') return lease
  const by = lease.ended_by === null ? '' : ` by ${lease.ended_by}`
  throw new LabError('stale_token', {
    text: `This lease has ended (${lease.status}${by}${lease.end_reason === null ? '' : `: ${lease.end_reason}`}).`,
    extra: { lease_status: lease.status, end_reason: lease.end_reason, ended_by: lease.ended_by },
  })
}

/**
 * The client of a person is there. From the first heartbeat on the lease lives 45 s after the last one, whatever it had left
 * before: a closed browser tab frees the device. A heartbeat is no activity; `active` says that the person did something. One
 * that is some seconds old counts from when it was given.
 */
export async function beatLease(tx: Transaction, use: LeaseUse & { active: boolean; secondsAgo: number }): Promise<LeaseRow> {
  const { id } = await lockOwn(tx, use)
  const lease = await firstRow(
    tx,
    sql<LeaseRow>`
      with l as (
        update leases
           set beats = true,
               expires_at = greatest(now() + make_interval(secs => ${leaseSeconds.heartbeat - use.secondsAgo}), kept_until),
               last_activity_at = case when ${use.active} and status = 'held' then now() else last_activity_at end
         where id = ${id} and status in ('held', 'waiting')
        returning *
      )
      select ${leaseColumns} from ${leaseTables}`,
  )
  if (!lease) throw new LabError('stale_token')
  return lease
}

/** Keeps a held lease for some time from now on, whatever signs of life there are. Others who wait come first. */
export async function extendLease(tx: Transaction, use: LeaseUse & { seconds: number }): Promise<LeaseRow> {
  const own = await lockOwn(tx, use)
  if (own.status !== 'held') throw new LabError('illegal_move', { text: 'A place in the line cannot be extended.' })
  if (await someoneWaits(tx, own.device_id)) {
    throw new LabError('others_wait', { text: 'Others wait for this device, so it cannot be kept longer.' })
  }
  const limits = await readLeaseSettings(tx, use.teamId)
  if (use.seconds > limits.max_extend_seconds) {
    throw new LabError('lease_limit', { text: `An extension lasts at most ${limits.max_extend_seconds} s in this team.` })
  }
  const lease = await firstRow(
    tx,
    sql<LeaseRow>`
      with l as (
        update leases
           set kept_until = greatest(kept_until, now() + make_interval(secs => ${use.seconds})),
               expires_at = greatest(expires_at, now() + make_interval(secs => ${use.seconds})), last_activity_at = now()
         where id = ${own.id} and status = 'held'
           and now() + make_interval(secs => ${use.seconds}) <= granted_at + make_interval(secs => ${limits.max_hold_seconds})
        returning *
      )
      select ${leaseColumns} from ${leaseTables}`,
  )
  if (!lease) {
    throw new LabError('lease_limit', {
      text: `A device is kept at most ${limits.max_hold_seconds} s after it was taken in this team.`,
    })
  }
  emitLease(tx, 'lease.extended', lease, { until: lease.expires_at })
  return lease
}

/** Gives back what is held, or gives up a place. */
export async function leaveLease(tx: Transaction, use: LeaseUse): Promise<void> {
  const own = await lockOwn(tx, use)
  const end = { reason: own.status === 'held' ? 'given back' : 'gave up waiting', by: shownHolder(own) }
  if (own.status === 'waiting') await endWaiting(tx, [own.id], { status: 'released', ...end })
  else await releaseLeases(tx, [own.id], end)
}
