import { createHash, randomUUID } from 'node:crypto'
import { LabError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable } from '../../db/query.ts'
import { assertNotBad } from '../device-health/index.ts'
import { assertHeldToken, type Holder } from '../leases/index.ts'
import { assignNextRun, assignRun, borrowLease, deviceBusy } from './assign-run.ts'
import { emitRun, findRun, type RunRow, runColumns } from './run.store.ts'

/** More waiting runs than this on one device are refused: a queue that long is a broken client or a dead device. */
const longestQueue = 500

export interface SubmitInput {
  teamId: string
  device: { id: string; key: string; name: string | null; model: string | null; hostId: string; hostName: string }
  scriptName: string
  parameters: string
  requestedBy: string | null
  holder: Holder
  /** Where login is off, the address of the caller is enough to be the owner of a lease. */
  ownerByAddress: boolean
  /** Token of the lease the caller relies on; once that lease has ended the submit is refused. */
  token: number | undefined
  queue: boolean
  queueTimeoutSeconds: number
  timeoutSeconds: number
  retries: number
  priority: number
  idempotencyKey: string | null
}

/**
 * Stores the run and gives it the device if that is free. A busy device is borrowed from its owner when the owner submits,
 * waited for with `queue`, and otherwise refused with 423 and nothing stored.
 */
export async function submitRun(tx: Transaction, input: SubmitInput): Promise<{ run: RunRow; repeated: boolean }> {
  const hash = requestHash(input)
  if (input.idempotencyKey !== null) {
    const earlier = await findByKey(tx, input.teamId, input.idempotencyKey)
    if (earlier) return { run: repeatedRun(earlier, hash), repeated: true }
  }
  if (input.token !== undefined) await assertHeldToken(tx, input.device.id, input.token)
  await assertNotBad(tx, input.device.id)
  const inserted = await insertRun(tx, input, hash)
  if (!inserted) {
    const earlier = input.idempotencyKey === null ? undefined : await findByKey(tx, input.teamId, input.idempotencyKey)
    if (!earlier) throw new LabError('conflict')
    return { run: repeatedRun(earlier, hash), repeated: true }
  }
  emitRun(tx, 'run.queued', inserted)
  if (input.queue) {
    await assertQueueHasRoom(tx, input.device.id)
    // Whoever waits longest with the highest priority goes first, which may be another run than this one.
    await assignNextRun(tx, input.device.id)
    return { run: (await findRun(tx, inserted.id)) ?? inserted, repeated: false }
  }
  const assigned = (await assignRun(tx, inserted)) ?? (await borrowLease(tx, inserted, input.holder, input.ownerByAddress))
  if (!assigned) throw await deviceBusy(tx, input.device.id, { showAddress: input.ownerByAddress })
  return { run: assigned, repeated: false }
}

function insertRun(tx: Transaction, input: SubmitInput, hash: string): Promise<RunRow | undefined> {
  const { device } = input
  return firstRow(
    tx,
    sql<RunRow>`
      insert into runs (id, team_id, kind, name, parameters, host_id, device_id, host_name, device_key, device_name, device_model,
                        status, source, requested_by, requested_ip, retries_left, priority, idempotency_key, idempotency_hash,
                        deadline_at, timeout_seconds)
      values (${randomUUID()}, ${input.teamId}, 'script', ${input.scriptName}, ${input.parameters}, ${device.hostId}, ${device.id},
              ${device.hostName}, ${device.key}, ${device.name}, ${device.model}, 'queued', 'manual', ${input.requestedBy},
              ${input.holder.ip}, ${input.retries}, ${input.priority}, ${input.idempotencyKey}, ${hash},
              now() + make_interval(secs => ${input.queueTimeoutSeconds}), ${input.timeoutSeconds})
      on conflict (team_id, idempotency_key) where idempotency_key is not null do nothing
      returning ${runColumns}`,
  )
}

type KeyedRun = RunRow & { idempotency_hash: string }

function findByKey(db: Queryable, teamId: string, key: string): Promise<KeyedRun | undefined> {
  return firstRow(
    db,
    sql<KeyedRun>`select ${runColumns}, idempotency_hash from runs where team_id = ${teamId} and idempotency_key = ${key}`,
  )
}

function repeatedRun(earlier: KeyedRun, hash: string): RunRow {
  if (earlier.idempotency_hash !== hash) throw new LabError('idempotency_mismatch')
  return earlier
}

const requestHash = (input: SubmitInput): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        input.device.id,
        input.scriptName,
        input.parameters,
        input.queue,
        input.timeoutSeconds,
        input.retries,
        input.priority,
      ]),
    )
    .digest('hex')

async function assertQueueHasRoom(tx: Transaction, deviceId: string): Promise<void> {
  const row = await firstRow(
    tx,
    sql<{ waiting: number }>`select count(*)::int as waiting from runs where device_id = ${deviceId} and status = 'queued'`,
  )
  if ((row?.waiting ?? 0) > longestQueue) throw new LabError('queue_full')
}

/** A new attempt at an ended run, waiting for the same device. */
export async function insertRetry(
  tx: Transaction,
  ended: RunRow,
  options: { retriesLeft: number; requestedBy: string | null },
): Promise<RunRow | undefined> {
  if (ended.device_id === null || ended.kind !== 'script') return undefined
  const retry = await firstRow(
    tx,
    sql<RunRow>`
      insert into runs (id, team_id, kind, name, parameters, host_id, device_id, host_name, device_key, device_name, device_model,
                        status, source, requested_by, retry_of, attempt, retries_left, priority, deadline_at, timeout_seconds, metadata)
      select ${randomUUID()}::uuid, team_id, kind, name, parameters, host_id, device_id, host_name, device_key, device_name, device_model,
             'queued', source, ${options.requestedBy ?? ended.requested_by}, id, attempt + 1, ${options.retriesLeft}, priority,
             now() + interval '1 hour', timeout_seconds, '{}'
        from runs where id = ${ended.id}
      returning ${runColumns}`,
  )
  if (retry) emitRun(tx, 'run.queued', retry, { retry_of: ended.id })
  return retry
}
