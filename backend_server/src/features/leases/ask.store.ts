import { randomUUID } from 'node:crypto'
import { LabError, type LeaseAsk } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'
import { emitLease, type Holder, type LeaseRow } from './lease.row.ts'

/*
 * Somebody who waits asks the holder to give the device back. A given ask ends the holder's lease; who gets the device then
 * is the line's affair. docs/adr: what silence means.
 */

export type AskRow = LeaseAsk & { team_id: string; waiting_id: string }

const askColumns = sql`
  a.id, a.team_id, a.lease_id, a.waiting_id, h.name as host_name, d.device_key as device_id,
  coalesce(w.holder_name, w.holder_id) as asked_by, a.message, a.status, a.asked_at, a.answer_by, a.answered_at,
  a.answer_message, a.answered_by_holder`
const askTables = sql`
  lease_asks a join leases w on w.id = a.waiting_id join devices d on d.id = w.device_id join hosts h on h.id = d.host_id`

export const showAsk = ({ team_id: _team, waiting_id: _waiting, ...ask }: AskRow): LeaseAsk => ask

export async function findAsk(db: Queryable, input: { id: string; teamId: string }): Promise<AskRow> {
  const ask = await firstRow(
    db,
    sql<AskRow>`select ${askColumns} from ${askTables} where a.id = ${input.id} and a.team_id = ${input.teamId}`,
  )
  if (!ask) throw new LabError('ask_not_found')
  return ask
}

/** Open questions to the holders of these leases, oldest first. */
export function openAsks(db: Queryable, leaseIds: readonly string[]): Promise<AskRow[]> {
  return rowsOf(
    db,
    sql<AskRow>`
      select ${askColumns} from ${askTables}
       where a.lease_id = any(${leaseIds}::uuid[]) and a.status = 'open'
       order by a.asked_at, a.id`,
  )
}

/** The lease is locked by the caller, so two questions of one person come here one after the other. */
export async function assertNotAskedRecently(
  tx: Transaction,
  held: LeaseRow,
  asker: Holder,
  pauseSeconds: number,
): Promise<void> {
  const last = await firstRow(
    tx,
    sql<{ wait: number }>`
      select ceil(extract(epoch from a.asked_at - now()) + ${pauseSeconds})::int as wait
        from lease_asks a join leases w on w.id = a.waiting_id
       where w.device_id = ${held.device_id} and w.holder_kind = ${asker.kind} and w.holder_id = ${asker.id}
         and a.asked_at > now() - make_interval(secs => ${pauseSeconds})
         and (a.status = 'refused' or a.status <> 'open' and a.lease_id = ${held.id})
         -- the one that is open is answered again
         and not exists (select 1 from lease_asks o where o.waiting_id = a.waiting_id and o.lease_id = ${held.id} and o.status = 'open')
       order by a.asked_at desc limit 1`,
  )
  if (!last) return
  const wait = Math.max(1, last.wait)
  throw new LabError('asked_recently', {
    text: `You asked for this device a short while ago. Ask again in ${wait} s; your place in the line stays.`,
    extra: { retry_after: wait },
  })
}

/** One open question per person and lease: asking again answers the one that is there. */
export async function storeAsk(
  tx: Transaction,
  input: { held: LeaseRow; waiting: LeaseRow; message: string | null; seconds: number },
): Promise<AskRow> {
  const { held, waiting } = input
  const inserted = await firstRow(
    tx,
    sql<{ id: string }>`
      insert into lease_asks (id, team_id, lease_id, waiting_id, message, status, answer_by)
      values (${randomUUID()}, ${held.team_id}, ${held.id}, ${waiting.id}, ${input.message}, 'open',
              now() + make_interval(secs => ${input.seconds}))
      on conflict (lease_id, waiting_id) where status = 'open' do nothing
      returning id`,
  )
  const ask = await firstRow(
    tx,
    sql<AskRow>`
      select ${askColumns} from ${askTables}
       where a.lease_id = ${held.id} and a.waiting_id = ${waiting.id} and a.status = 'open'`,
  )
  if (!ask) throw new LabError('conflict')
  if (inserted) {
    const { id, asked_by, message, answer_by } = ask
    emitLease(tx, 'lease.asked', held, { ask_id: id, asked_by, message, answer_by })
  }
  return ask
}

/** Settles an open question; undefined when it is not open any more. */
export async function settleAsk(
  tx: Transaction,
  held: LeaseRow,
  askId: string,
  answer: { status: 'given' | 'refused'; message: string | null; byHolder: boolean },
): Promise<AskRow | undefined> {
  const settled = await firstRow(
    tx,
    sql<{ id: string }>`
      update lease_asks
         set status = ${answer.status}, answered_at = now(), answer_message = ${answer.message}, answered_by_holder = ${answer.byHolder}
       where id = ${askId} and lease_id = ${held.id} and status = 'open'
      returning id`,
  )
  if (!settled) return undefined
  const ask = await findAsk(tx, { id: askId, teamId: held.team_id })
  emitLease(tx, 'lease.ask_answered', held, {
    ask_id: askId,
    asked_by: ask.asked_by,
    status: answer.status,
    message: answer.message,
    by_holder: answer.byHolder,
  })
  return ask
}

/** Questions that have lost their sense: the lease has ended, or who asked does not wait any more. */
export async function voidAsks(
  tx: Queryable,
  of: { ofLeases: readonly string[] } | { ofWaiting: readonly string[] },
): Promise<void> {
  const which = 'ofLeases' in of ? sql`lease_id = any(${of.ofLeases}::uuid[])` : sql`waiting_id = any(${of.ofWaiting}::uuid[])`
  await sql`update lease_asks set status = 'void', answered_at = now() where status = 'open' and ${which}`.execute(tx.kysely)
}
