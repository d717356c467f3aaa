import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import { emitRun, type RunRow, runColumns } from './run.store.ts'

/** Nothing that a person starts by hand goes on for longer. */
const batchLimitSeconds = 1800
/** Until the host has accepted the work; afterwards each answer of the host moves it. */
const startLimitSeconds = 240

export interface NewBatchRun {
  teamId: string
  name: string
  host: { id: string; name: string }
  device: { id: string; key: string; name: string | null; model: string | null; fence: number }
  requestedBy: string | null
  requestedIp: string
  metadata: Record<string, unknown>
  /** For work that says nothing until it has ended. */
  silentSeconds?: number
}

/**
 * Work that the host begins at once and that stands on no lease of its own: it is allowed while the device is free or held by
 * whoever asks, and an agent ends it when the device is given to somebody else (a higher fence). It begins as running: the
 * dispatcher, which sends scripts, never sees it.
 */
export async function insertBatchRun(tx: Transaction, batch: NewBatchRun): Promise<RunRow> {
  const { host, device } = batch
  const run = await firstRow(
    tx,
    sql<RunRow>`
      insert into runs (id, team_id, kind, name, host_id, device_id, host_name, device_key, device_name, device_model, status,
                        source, requested_by, requested_ip, assigned_at, started_at, dispatched_at, dispatch_confirmed_at,
                        deadline_at, timeout_seconds, alive_until, lease_token, metadata)
      values (${randomUUID()}, ${batch.teamId}, 'batch', ${batch.name}, ${host.id}, ${device.id}, ${host.name}, ${device.key},
              ${device.name}, ${device.model}, 'running', 'manual', ${batch.requestedBy}, ${batch.requestedIp}, now(), now(), now(), now(),
              now() + make_interval(secs => ${batchLimitSeconds}), ${batchLimitSeconds},
              now() + make_interval(secs => ${batch.silentSeconds ?? startLimitSeconds}), ${device.fence},
              ${JSON.stringify(batch.metadata)})
      returning ${runColumns}`,
  )
  if (!run) throw new Error('an insert without condition returned no row')
  emitRun(tx, 'run.running', run)
  return run
}

/** The host has shown that it still works on the run. */
export async function keepBatchAlive(tx: Transaction, runId: string, seconds: number): Promise<void> {
  await sql`
    update runs set alive_until = now() + make_interval(secs => ${seconds}), updated_at = now()
     where id = ${runId} and status = 'running'`.execute(tx.kysely)
}
