import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import { ownsLease } from './holder.ts'
import type { Holder, LeaseRow } from './lease.row.ts'
import { claimDevice, lockHeldLease, renameHolder, renewLease, usualPriority } from './lease.store.ts'
import { grantNext, joinLine } from './waiting.store.ts'

export interface TakeInput {
  teamId: string
  deviceId: string
  holder: Holder
  byAddress: boolean
  purpose?: string | null | undefined
  /** Take a place in the line when the device is not to be had now. */
  wait: boolean
  priority: number
}

export type TakeOutcome =
  | { kind: 'held'; lease: LeaseRow; isNew: boolean }
  | { kind: 'waiting'; lease: LeaseRow }
  | { kind: 'locked'; lease: LeaseRow }
  /** Nobody has it: its host is away, it is in maintenance, or it is the turn of others. */
  | { kind: 'unavailable'; status: string }

/** A person takes a device, goes on with it, or waits for it. */
export async function takeDevice(tx: Transaction, input: TakeInput): Promise<TakeOutcome> {
  const { teamId, deviceId, holder, purpose, wait } = input
  const priority = wait ? input.priority : usualPriority
  const claimed = await claimDevice(tx, { teamId, deviceId, holder, purpose, rank: { priority } })
  if (claimed) return { kind: 'held', lease: claimed, isNew: true }
  const held = await lockHeldLease(tx, deviceId)
  const renewed = held && ownsLease(held, holder, input.byAddress) ? await renewLease(tx, held.id) : undefined
  if (renewed) return { kind: 'held', lease: await renameHolder(tx, renewed, holder), isNew: false }
  if (held && !wait) return { kind: 'locked', lease: held }
  const device = await firstRow(tx, sql<{ status: string }>`select status from devices where id = ${deviceId}`)
  const status = device?.status ?? 'retired'
  if (wait && (held || status === 'available' || status === 'leased')) {
    const waiting = await joinLine(tx, { teamId, deviceId, holder, purpose, priority })
    // The holder may have left between the statements.
    const granted = await grantNext(tx, deviceId)
    return granted?.id === waiting.id ? { kind: 'held', lease: granted, isNew: true } : { kind: 'waiting', lease: waiting }
  }
  // The holder left between the two statements, or the device is not to be had.
  const second = await claimDevice(tx, { teamId, deviceId, holder, purpose, rank: { priority } })
  return second ? { kind: 'held', lease: second, isNew: true } : { kind: 'unavailable', status }
}
