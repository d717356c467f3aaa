import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { FastifyBaseLogger } from 'fastify'
import { sql } from 'kysely'
import { type Database, inTransaction, type Transaction } from '../../db/database.ts'
import { firstRow, rowsOf } from '../../db/query.ts'
import type { Job } from '../../jobs/runner.ts'
import { type ArtifactRow, insertArtifact, listArtifacts, type ObjectStore, storageKey } from '../artifacts/index.ts'
import { renderReport } from './report/render-report.ts'
import { emitRun, type RunRow, runColumns } from './run.store.ts'
import { listSteps, showRun } from './run.view.ts'

/** Screenshots beyond this stay links in the report, so that it opens quickly. */
const mostPictureBytes = 24 * 1024 * 1024
const tailLines = 300
const largestArtifact = 512 * 1024 * 1024

export interface ReporterOptions {
  db: Database
  log: FastifyBaseLogger
  store: ObjectStore
}

/**
 * What is made of a run after its end: its log becomes one artifact, its report another. The row of an ended run without a
 * report is the order for this work, so a killed server only delays it; the row lock keeps two servers from doing it twice.
 */
export function createReporter({ db, log, store }: ReporterOptions): Job {
  async function reportNext(): Promise<boolean> {
    return inTransaction(db, async (tx) => {
      const run = await firstRow(
        tx,
        sql<RunRow>`
          select ${runColumns} from runs
           where finished_at is not null and report_artifact_id is null
           order by finished_at limit 1
             for update skip locked`,
      )
      if (!run) return false
      await reportRun(tx, run)
      return true
    })
  }

  async function reportRun(tx: Transaction, run: RunRow): Promise<void> {
    const lines = await readLines(tx, run.id)
    const logArtifact =
      lines.length > 0
        ? await storeText(tx, run, 'log', 'run.log', 'text/plain; charset=utf-8', `${lines.join('\n')}\n`)
        : undefined
    const artifacts = await listArtifacts(tx, run.id)
    const html = renderReport({
      run: showRun({ ...run, log_artifact_id: logArtifact?.id ?? null }),
      steps: await listSteps(tx, run.id),
      logTail: lines.slice(-tailLines),
      logLines: lines.length,
      pictures: await readPictures(artifacts),
      artifacts,
    })
    const report = await storeText(tx, run, 'report', 'report.html', 'text/html; charset=utf-8', html)
    await sql`
      update runs set report_artifact_id = ${report?.id}, log_artifact_id = ${logArtifact?.id ?? null}, updated_at = now()
       where id = ${run.id}`.execute(tx.kysely)
    await sql`delete from run_log_chunks where run_id = ${run.id}`.execute(tx.kysely)
    emitRun(tx, 'run.report', run, { report_url: `/server/runs/${run.id}/report` })
    log.debug({ run_id: run.id }, 'report written')
  }

  async function storeText(
    tx: Transaction,
    run: RunRow,
    kind: 'log' | 'report',
    name: string,
    contentType: string,
    text: string,
  ) {
    const id = randomUUID()
    const stored = await store.put(storageKey(run.id, id), Buffer.from(text), { maxBytes: largestArtifact })
    return insertArtifact(tx, { id, teamId: run.team_id, runId: run.id, kind, name, contentType, ...stored })
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
      while (!signal.aborted && (await reportNext())) {
        // one after another: a report holds its pictures in memory
      }
    },
  }
}

async function readLines(tx: Transaction, runId: string): Promise<string[]> {
  const chunks = await rowsOf(
    tx,
    sql<{ lines: string[] }>`select lines from run_log_chunks where run_id = ${runId} order by from_line`,
  )
  return chunks.flatMap((chunk) => chunk.lines)
}
