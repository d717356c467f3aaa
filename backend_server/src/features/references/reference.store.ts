import { randomUUID } from 'node:crypto'
import type { Reference } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'

export interface ReferenceRow {
  id: string
  team_id: string
  userinterface_name: string
  name: string
  kind: 'image' | 'text'
  device_model: string | null
  area: Record<string, unknown> | null
  text: string | null
  artifact_id: string | null
  host_url: string | null
  host_path: string | null
  created_at: string
  updated_at: string
}

const columns = sql`
  id, team_id, userinterface_name, name, kind, device_model, area, text, artifact_id, host_url, host_path, created_at, updated_at`

export interface NewReference {
  teamId: string
  userinterfaceName: string
  name: string
  kind: 'image' | 'text'
  deviceModel: string | null
  area: Record<string, unknown> | null
  text: string | null
  artifactId: string | null
  hostUrl: string | null
  hostPath: string | null
  createdBy: string | null
}

/** Stores a reference under its name; a newer one takes the place of the older, whose picture is no longer listed. */
export async function saveReference(tx: Transaction, one: NewReference): Promise<ReferenceRow> {
  const old = await firstRow(
    tx,
    sql<{ artifact_id: string | null }>`
      select artifact_id from verification_references
       where team_id = ${one.teamId} and userinterface_name = ${one.userinterfaceName} and name = ${one.name} and kind = ${one.kind}
         for update`,
  )
  const saved = await firstRow(
    tx,
    sql<ReferenceRow>`
      insert into verification_references (id, team_id, userinterface_name, name, kind, device_model, area, text, artifact_id,
                                           host_url, host_path, created_by)
      values (${randomUUID()}, ${one.teamId}, ${one.userinterfaceName}, ${one.name}, ${one.kind}, ${one.deviceModel},
              ${one.area && JSON.stringify(one.area)}, ${one.text}, ${one.artifactId}, ${one.hostUrl}, ${one.hostPath}, ${one.createdBy})
      on conflict (team_id, userinterface_name, name, kind) do update
         set device_model = excluded.device_model, area = excluded.area, text = excluded.text, artifact_id = excluded.artifact_id,
             host_url = excluded.host_url, host_path = excluded.host_path, updated_at = now()
      returning ${columns}`,
  )
  if (!saved) throw new Error('an upsert returned no row')
  if (old?.artifact_id) await sql`update artifacts set status = 'deleted' where id = ${old.artifact_id}`.execute(tx.kysely)
  return saved
}

export function findReference(db: Queryable, teamId: string, id: string): Promise<ReferenceRow | undefined> {
  return firstRow(db, sql<ReferenceRow>`select ${columns} from verification_references where id = ${id} and team_id = ${teamId}`)
}

export function listReferences(
  db: Queryable,
  filter: {
    teamId: string
    userinterfaceName?: string | null | undefined
    deviceModel?: string | null | undefined
    names?: readonly string[]
  },
): Promise<ReferenceRow[]> {
  return rowsOf(
    db,
    sql<ReferenceRow>`
      select ${columns} from verification_references
       where team_id = ${filter.teamId}
         and (${filter.userinterfaceName || null}::text is null or userinterface_name = ${filter.userinterfaceName || null})
         and (${filter.deviceModel || null}::text is null or device_model = ${filter.deviceModel || null})
         and (${filter.names ?? null}::text[] is null or name = any(${filter.names ?? null}::text[]))
       order by updated_at desc, id limit 5000`,
  )
}

export function showReference(row: ReferenceRow, serverUrl: string): Reference {
  const area = row.kind === 'text' ? { ...row.area, text: row.text } : row.area
  return {
    id: row.id,
    name: row.name,
    userinterface_name: row.userinterface_name,
    userinterface_id: null,
    device_model: row.device_model,
    reference_type: row.kind === 'image' ? 'reference_image' : 'reference_text',
    area,
    r2_path: row.host_path ?? (row.artifact_id === null ? null : `reference-images/${row.userinterface_name}/${row.name}`),
    r2_url: row.artifact_id === null ? row.host_url : `${serverUrl}/server/references/${row.id}/image`,
    team_id: row.team_id,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }
}
