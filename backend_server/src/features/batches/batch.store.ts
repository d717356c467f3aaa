import type { RunStep } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Database, Transaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'
import { insertArtifact, type NewArtifact } from '../artifacts/index.ts'
import {
  emitRun,
  endBatchWithoutLease,
  finishRun,
  insertBatchRun,
  keepBatchAlive,
  lockRun,
  type NewBatchRun,
  type RunRow,
  runColumns,
  storeSteps,
} from '../runs/index.ts'
import { type BatchKind, endOf, type HostStatus, stepsOf } from './host-status.ts'

/*
 * A batch is a run of the kind batch and a row here. The host does the work and forgets it when it restarts; what it said last
 * is kept here, so that the answer to a client needs neither the host nor this process to have lived since.
 */

/** Names of the asked commands by category: main, retry, failure. */
export type Labels = Record<string, string[]>

export interface BatchRow {
  run_id: string
  kind: BatchKind
  host_execution_id: string | null
  labels: Labels
  status: HostStatus | null
}

const columns = sql`b.run_id, b.kind, b.host_execution_id, b.labels, b.status`
/** An answer of the host proves for this long that it works on the batch. */
const aliveSeconds = 60
const keepAliveEveryMs = 10_000

export async function insertBatch(tx: Transaction, batch: NewBatchRun & { kind: BatchKind; labels: Labels }): Promise<RunRow> {
  const run = await insertBatchRun(tx, batch)
  await sql`
    insert into batches (run_id, kind, labels) values (${run.id}, ${batch.kind}, ${JSON.stringify(batch.labels)})`.execute(
    tx.kysely,
  )
  return run
}

export async function nameHostExecution(db: Database, runId: string, hostExecutionId: string): Promise<void> {
  await sql`update batches set host_execution_id = ${hostExecutionId} where run_id = ${runId}`.execute(db.kysely)
}

export function findBatch(db: Queryable, runId: string): Promise<BatchRow | undefined> {
  return firstRow(db, sql<BatchRow>`select ${columns} from batches b where b.run_id = ${runId}`)
}

/** A run with its batch, as they are at one moment: read one after the other, the work could end in between. */
export async function findExecution(
  db: Queryable,
  runId: string,
  teamId?: string,
): Promise<{ run: RunRow; batch: BatchRow } | undefined> {
  const row = await firstRow(
    db,
    sql<RunRow & { batch: BatchRow | null }>`
      select ${runColumns}, (select to_jsonb(b) from batches b where b.run_id = runs.id) as batch
        from runs where id = ${runId} and (${teamId ?? null}::uuid is null or team_id = ${teamId ?? null})`,
  )
  if (!row?.batch) return undefined
  const { batch, ...run } = row
  return { run, batch }
}

/** Batches that somebody must look after: the host has accepted them, or has had the time to. */
export function listOpenBatches(db: Queryable, startSeconds: number): Promise<{ run_id: string }[]> {
  return rowsOf(
    db,
    sql<{ run_id: string }>`
      select r.id as run_id from runs r join batches b on b.run_id = r.id
       where r.kind = 'batch' and r.status = 'running' and b.kind <> 'browser_task'
         and (b.host_execution_id is not null or r.started_at < now() - make_interval(secs => ${startSeconds}))
       order by r.id limit 200`,
  )
}

/** Where to ask the host to stop; undefined for what it cannot stop. */
export const cancelPath =
  (db: Queryable) =>
  async (runId: string): Promise<string | undefined> => {
    const batch = await firstRow(
      db,
      sql<{
        kind: BatchKind
        host_execution_id: string | null
      }>`select kind, host_execution_id from batches where run_id = ${runId}`,
    )
    if (!batch || batch.kind === 'browser_task') return undefined
    return `/host/${batch.kind}/execution/${encodeURIComponent(batch.host_execution_id ?? runId)}/cancel`
  }

/** Stores what the host said. The end of the work ends the run; anything new before is announced. */
export async function recordStatus(
  tx: Transaction,
  batch: BatchRow,
  said: HostStatus,
  pictures: readonly NewArtifact[] = [],
): Promise<RunRow | undefined> {
  const run = await lockRun(tx, batch.run_id)
  if (run?.status !== 'running') return run
  // With every word of the host: nobody goes on with a device that was given back, taken away or given to others.
  const lost = await endBatchWithoutLease(tx, run)
  if (lost) return lost
  const end = endOf(batch.kind, said)
  const before = await firstRow(tx, sql<{ status: HostStatus | null }>`select status from batches where run_id = ${run.id}`)
  const isNew = before?.status?.progress !== said.progress || before.status.message !== said.message
  if (end || isNew) {
    await sql`update batches set status = ${JSON.stringify(said)} where run_id = ${run.id}`.execute(tx.kysely)
  }
  if (!end) {
    if (isNew) emitRun(tx, 'run.progress', run, { progress: said.progress, message: said.message })
    if (Date.now() - Date.parse(run.updated_at) > keepAliveEveryMs) await keepBatchAlive(tx, run.id, aliveSeconds)
    return run
  }
  for (const picture of pictures) await insertArtifact(tx, picture)
  const steps: RunStep[] = stepsOf(batch.kind, said, batch.labels, { startedAt: run.started_at ?? run.queued_at })
  if (steps.length > 0) await storeSteps(tx, run, steps)
  return (await finishRun(tx, run.id, end)) ?? run
}
