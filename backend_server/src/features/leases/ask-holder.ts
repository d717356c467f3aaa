import { LabError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, rowsOf } from '../../db/query.ts'
import { type AskRow, assertNotAskedRecently, findAsk, settleAsk, storeAsk } from './ask.store.ts'
import { endLeases, releaseLeases } from './end-leases.ts'
import { ownsLease } from './holder.ts'
import type { Holder, LeaseRow } from './lease.row.ts'
import { lockHeldLease, lockLease } from './lease.store.ts'
import { readLeaseSettings } from './lease-settings.ts'
import { joinLine } from './waiting.store.ts'

export interface AskInput {
  teamId: string
  deviceId: string
  asker: Holder
  byAddress: boolean
  message: string | null
  priority: number
}

/**
 * Puts who asks into the line and the question to the holder. A run has nobody to ask: it ends by itself. Whoever was told no, or
 * has taken a question back, waits before the next one: a holder at work is not to be asked until they give in.
 */
export async function askHolder(tx: Transaction, input: AskInput): Promise<{ ask: AskRow; waiting: LeaseRow }> {
  const held = await lockHeldLease(tx, input.deviceId)
  if (!held) throw new LabError('not_held')
  if (ownsLease(held, input.asker, input.byAddress)) throw new LabError('not_askable', { text: 'You hold this device yourself.' })
  if (held.holder_kind !== 'user') {
    throw new LabError('not_askable', {
      text: `A ${held.holder_kind} (${held.holder_name ?? held.holder_id}) has this device and ends by itself: wait in the line, or cancel it.`,
    })
  }
  const { ask_seconds: seconds, ask_again_seconds: pauseSeconds } = await readLeaseSettings(tx, input.teamId)
  await assertNotAskedRecently(tx, held, input.asker, pauseSeconds)
  const waiting = await joinLine(tx, {
    teamId: input.teamId,
    deviceId: input.deviceId,
    holder: input.asker,
    purpose: input.message?.slice(0, 200),
    priority: input.priority,
  })
  return { ask: await storeAsk(tx, { held, waiting, message: input.message, seconds }), waiting }
}

/** The holder says yes or no. After a yes the device goes to the first of the line, after the run that borrows it, if any. */
export async function answerAsk(
  tx: Transaction,
  input: { id: string; teamId: string; holder: Holder; byAddress: boolean; give: boolean; message: string | null },
): Promise<AskRow> {
  const asked = await findAsk(tx, input)
  const held = await lockLease(tx, { id: asked.lease_id, teamId: input.teamId })
  if (!ownsLease(held, input.holder, input.byAddress)) {
    throw new LabError('forbidden', { text: 'Only the holder of the device can answer this.' })
  }
  const settled = await settleAsk(tx, held, asked.id, {
    status: input.give ? 'given' : 'refused',
    message: input.message,
    byHolder: true,
  })
  if (!settled) throw new LabError('illegal_move', { text: 'This question is settled already.' })
  if (input.give)
    await releaseLeases(tx, [held.id], { reason: `given to the line, as ${settled.asked_by} asked`, by: shownBy(held) })
  return settled
}

/**
 * Countdowns that ran out. Silence means yes only from somebody who has done nothing on the device since the question and has
 * no run at work there; whoever is at work need not look at messages to keep a device.
 */
export async function settleSilentAsks(tx: Transaction): Promise<void> {
  const due = await rowsOf(
    tx,
    sql<{ id: string; lease_id: string; team_id: string; asked_at: string }>`
      select id, lease_id, team_id, asked_at from lease_asks where status = 'open' and answer_by < now() order by asked_at, id limit 200`,
  )
  for (const ask of due) {
    const held = await lockLease(tx, { id: ask.lease_id, teamId: ask.team_id })
    const silent = await firstRow(
      tx,
      sql`
        select 1 from leases l
         where l.id = ${held.id} and l.status = 'held' and l.holder_kind = 'user' and l.last_activity_at < ${ask.asked_at}::timestamptz
           and not exists (select 1 from runs r where r.lease_id = l.id and r.status in ('assigned', 'running'))`,
    )
    const settled = await settleAsk(tx, held, ask.id, {
      status: silent ? 'given' : 'refused',
      message: silent ? 'no answer, and nothing was done on the device since' : 'no answer, but the holder is at work',
      byHolder: false,
    })
    if (settled && silent)
      await endLeases(tx, [held.id], { status: 'expired', reason: `no answer to ${settled.asked_by}, who asked for the device` })
  }
}

const shownBy = (lease: LeaseRow): string => lease.holder_name ?? lease.holder_id
