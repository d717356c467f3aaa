import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { FastifyBaseLogger } from 'fastify'
import { sql } from 'kysely'
import { type Database, DatabaseUnavailable, inTransaction, type Queryable } from '../../db/database.ts'
import { firstRow, rowsOf } from '../../db/query.ts'
import type { Job } from '../../jobs/runner.ts'
import {
  type ArtifactRow,
  insertArtifact,
  listArtifacts,
  type NewArtifact,
  type ObjectStore,
  storageKey,
} from '../artifacts/index.ts'
import { renderReport } from './report/render-report.ts'
import { emitRun, type RunRow, runColumns } from './run.store.ts'
import { listSteps, showRun } from './run.view.ts'

/** Screenshots beyond this stay links in the report, so that it opens quickly. */
const mostPictureBytes = 24 * 1024 * 1024
const tailLines = 300
const pauseAfterFailureMs = 60_000
const largestArtifact = 512 * 1024 * 1024

export interface ReporterOptions {
  db: Database
  log: FastifyBaseLogger
  store: ObjectStore
}

/**
 * What is made of a run after its end: its log becomes one artifact, its report another. The row of an ended run without a
 * report is the order for this work, so a killed server only delays it. Contents are written before the transaction that
 * names them; when two servers do the same run, the second one's contents stay unnamed.
 */
export function createReporter({ db, log, store }: ReporterOptions): Job {
  /** A run whose report cannot be made must not stand in the way of the others; it is tried again after a pause. */
  const failedAt = new Map<string, number>()

  async function nextRun(): Promise<RunRow | undefined> {
    for (const [id, at] of failedAt) if (performance.now() - at > pauseAfterFailureMs) failedAt.delete(id)
    return firstRow(
      db,
      sql<RunRow>`
        select ${runColumns} from runs
         where finished_at is not null and report_artifact_id is null and kind <> 'batch' and id <> all(${[...failedAt.keys()]}::uuid[])
         order by finished_at limit 1`,
    )
  }

  async function reportRun(run: RunRow): Promise<void> {
    const lines = await readLines(db, run.id)
    const text =
      lines.length > 0 ? await storeText(run, 'log', 'run.log', 'text/plain; charset=utf-8', `${lines.join('\n')}\n`) : undefined
    const artifacts = await listArtifacts(db, run.id)
    const html = renderReport({
      run: showRun({ ...run, log_artifact_id: text?.id ?? null }),
      steps: await listSteps(db, run.id),
      logTail: lines.slice(-tailLines),
      logLines: lines.length,
      pictures: await readPictures(artifacts),
      artifacts,
    })
    const report = await storeText(run, 'report', 'report.html', 'text/html; charset=utf-8', html)
    await inTransaction(db, async (tx) => {
      const named = await firstRow(
        tx,
        sql`
          update runs set report_artifact_id = ${report.id}, log_artifact_id = ${text?.id ?? null}, updated_at = now()
           where id = ${run.id} and report_artifact_id is null returning id`,
      )
      if (!named) return
      for (const artifact of [text, report]) if (artifact) await insertArtifact(tx, artifact)
      await sql`delete from run_log_chunks where run_id = ${run.id}`.execute(tx.kysely)
      emitRun(tx, 'run.report', run, { report_url: `/server/runs/${run.id}/report` })
    })
    log.debug({ run_id: run.id }, 'report written')
  }

  async function storeText(
    run: RunRow,
    kind: 'log' | 'report',
    name: string,
    contentType: string,
    text: string,
  ): Promise<NewArtifact> {
    const id = randomUUID()
    const stored = await store.put(storageKey(run.id, id), Buffer.from(text), { maxBytes: largestArtifact })
    return { id, teamId: run.team_id, runId: run.id, kind, name, contentType, ...stored }
  }

  async function readPictures(artifacts: readonly ArtifactRow[]): Promise<Map<string, string>> {
    const pictures = new Map<string, string>()
    let left = mostPictureBytes
    for (const artifact of artifacts) {
      if (artifact.kind !== 'screenshot' || artifact.size_bytes === null || artifact.size_bytes > left) continue
      const found = await store.get(artifact.storage_key)
      if (!found) continue
      left -= found.sizeBytes
      pictures.set(artifact.id, `data:${artifact.content_type};base64,${(await buffer(found.content)).toString('base64')}`)
    }
    return pictures
  }

  return {
    name: 'runs.report',
    everyMs: 2000,
    leader: false,
    async run({ signal }) {
      // One after another: a report holds its pictures in memory.
      for (let run = await nextRun(); run !== undefined && !signal.aborted; run = await nextRun()) {
        try {
          await reportRun(run)
        } catch (error) {
          // Says nothing about this run: everything is tried again with the next round.
          if (error instanceof DatabaseUnavailable) throw error
          failedAt.set(run.id, performance.now())
          log.error({ err: error, run_id: run.id }, 'the report of a run could not be written; it is tried again')
        }
      }
    },
  }
}

async function readLines(tx: Queryable, runId: string): Promise<string[]> {
  const chunks = await rowsOf(
    tx,
    sql<{ lines: string[] }>`select lines from run_log_chunks where run_id = ${runId} order by from_line`,
  )
  return chunks.flatMap((chunk) => chunk.lines)
}
