import type { Artifact } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'

export interface ArtifactRow {
  id: string
  team_id: string
  run_id: string | null
  kind: Artifact['kind']
  name: string
  storage_key: string
  content_type: string
  size_bytes: number | null
  status: Artifact['status']
  created_at: string
}

const columns = sql`id, team_id, run_id, kind, name, storage_key, content_type, size_bytes, status, created_at`

/** Keys of the object store are made of ids alone: no name from outside becomes a path. */
export const storageKey = (runId: string, artifactId: string): string => `${runId}/${artifactId}`

export function findArtifact(db: Queryable, runId: string, artifactId: string): Promise<ArtifactRow | undefined> {
  return firstRow(db, sql<ArtifactRow>`select ${columns} from artifacts where id = ${artifactId} and run_id = ${runId}`)
}

export function listArtifacts(db: Queryable, runId: string): Promise<ArtifactRow[]> {
  return rowsOf(
    db,
    sql<ArtifactRow>`select ${columns} from artifacts where run_id = ${runId} and status <> 'deleted' order by created_at, id`,
  )
}

export interface NewArtifact {
  id: string
  teamId: string
  runId: string
  kind: Artifact['kind']
  name: string
  contentType: string
  sizeBytes: number
  sha256: string
}

/** Records a stored content; repeating it changes nothing. Undefined when the id belongs to another run. */
export async function insertArtifact(db: Queryable, artifact: NewArtifact): Promise<ArtifactRow | undefined> {
  return firstRow(
    db,
    sql<ArtifactRow>`
      insert into artifacts as a (id, team_id, run_id, kind, name, storage_key, content_type, size_bytes, sha256, status)
      values (${artifact.id}, ${artifact.teamId}, ${artifact.runId}, ${artifact.kind}, ${artifact.name},
              ${storageKey(artifact.runId, artifact.id)}, ${artifact.contentType}, ${artifact.sizeBytes}, ${artifact.sha256}, 'stored')
      on conflict (id) do update set status = 'stored', size_bytes = excluded.size_bytes, sha256 = excluded.sha256
       where a.run_id = excluded.run_id
      returning ${columns}`,
  )
}

/** Records a content that belongs to no run: `ownerId` is what it is stored under. */
export async function insertFreeArtifact(
  db: Queryable,
  artifact: Omit<NewArtifact, 'runId'> & { ownerId: string },
): Promise<void> {
  await sql`
    insert into artifacts (id, team_id, kind, name, storage_key, content_type, size_bytes, sha256, status)
    values (${artifact.id}, ${artifact.teamId}, ${artifact.kind}, ${artifact.name}, ${storageKey(artifact.ownerId, artifact.id)},
            ${artifact.contentType}, ${artifact.sizeBytes}, ${artifact.sha256}, 'stored')`.execute(db.kysely)
}

export function findFreeArtifact(db: Queryable, teamId: string, artifactId: string): Promise<ArtifactRow | undefined> {
  return firstRow(
    db,
    sql<ArtifactRow>`select ${columns} from artifacts where id = ${artifactId} and team_id = ${teamId} and run_id is null`,
  )
}

export const showArtifact = (artifact: ArtifactRow): Artifact => ({
  id: artifact.id,
  run_id: artifact.run_id,
  kind: artifact.kind,
  name: artifact.name,
  content_type: artifact.content_type,
  size_bytes: artifact.size_bytes,
  status: artifact.status,
  url: `/server/runs/${artifact.run_id}/artifacts/${artifact.id}`,
  created_at: artifact.created_at,
})
