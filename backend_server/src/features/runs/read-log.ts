import { text } from 'node:stream/consumers'
import { isFinalRun } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Queryable, rowsOf } from '../../db/query.ts'
import { findArtifact, type ObjectStore } from '../artifacts/index.ts'
import type { RunRow } from './run.store.ts'

export interface LogPage {
  lines: string[]
  from: number
  next_after: number
  complete: boolean
}

/** Lines of a run from an index on: from its chunks while it goes on, from the log artifact afterwards. */
export async function readLog(
  db: Queryable,
  store: ObjectStore,
  run: RunRow,
  page: { after: number; limit: number },
): Promise<LogPage> {
  const { after, limit } = page
  if (run.log_artifact_id !== null) {
    const all = await readArtifactLines(db, store, run.id, run.log_artifact_id)
    const lines = all.slice(after, after + limit)
    return { lines, from: after, next_after: after + lines.length, complete: after + lines.length >= all.length }
  }
  const chunks = await rowsOf(
    db,
    sql<{ from_line: number; lines: string[] }>`
      select from_line, lines from run_log_chunks
       where run_id = ${run.id} and from_line + cardinality(lines) > ${after} and from_line < ${after + limit}
       order by from_line`,
  )
  const lines = chunks.flatMap((chunk) => chunk.lines.slice(Math.max(0, after - chunk.from_line))).slice(0, limit)
  return {
    lines,
    from: after,
    next_after: after + lines.length,
    complete: isFinalRun(run.status) && run.report_artifact_id !== null && lines.length === 0,
  }
}

async function readArtifactLines(db: Queryable, store: ObjectStore, runId: string, artifactId: string): Promise<string[]> {
  const artifact = await findArtifact(db, runId, artifactId)
  const found = artifact && (await store.get(artifact.storage_key))
  return found ? (await text(found.content)).replace(/\n$/, '').split('\n') : []
}
