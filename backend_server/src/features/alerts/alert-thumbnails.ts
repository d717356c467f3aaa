import { randomUUID } from 'node:crypto'
import { type AlertReport, LabError, pictureType } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Database, Transaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import { insertFreeArtifact, type ObjectStore, storageKey } from '../artifacts/index.ts'

const moments = ['start', 'end'] as const
export type Moment = (typeof moments)[number]
const largest = 128 * 1024

export interface StoredThumbnail {
  reportId: string
  moment: Moment
  artifactId: string
  ownerId: string
  sizeBytes: number
  sha256: string
}

/**
 * Writes the pictures of these reports that are not here yet; the rows that name them are written with the alerts. A
 * picture whose alert is refused after all stays without a name, like any content whose transaction did not happen.
 */
export async function storeThumbnails(
  db: Database,
  store: ObjectStore,
  reports: readonly AlertReport[],
): Promise<StoredThumbnail[]> {
  const given = reports.flatMap((report) =>
    moments.flatMap((moment) => {
      const text = report.thumbnails?.[moment]
      return text ? [{ reportId: report.id, moment, data: Buffer.from(text, 'base64') }] : []
    }),
  )
  if (given.length === 0) return []
  for (const { data } of given) {
    if (pictureType(data) !== 'image/jpeg' || data.length > largest)
      throw new LabError('validation_error', { text: 'A thumbnail must be a JPEG of at most 128 kB.' })
  }
  const known = await rowsOf(
    db,
    sql<{ id: string; start: boolean; end: boolean }>`
      select id, start_artifact_id is not null as start, end_artifact_id is not null as "end"
        from alerts where id = any(${given.map((one) => one.reportId)}::uuid[])`,
  )
  const stored: StoredThumbnail[] = []
  for (const { reportId, moment, data } of given) {
    if (known.find((one) => one.id === reportId)?.[moment]) continue
    const [artifactId, ownerId] = [randomUUID(), randomUUID()]
    stored.push({
      reportId,
      moment,
      artifactId,
      ownerId,
      ...(await store.put(storageKey(ownerId, artifactId), data, { maxBytes: largest })),
    })
  }
  return stored
}

/** Names the pictures with their alert, unless it has them already. The caller has locked the device of the alert. */
export async function nameThumbnails(
  tx: Transaction,
  device: { id: string; team_id: string },
  alertId: string,
  thumbnails: readonly StoredThumbnail[],
): Promise<void> {
  for (const { reportId, moment, artifactId, ownerId, sizeBytes, sha256 } of thumbnails) {
    if (reportId !== alertId) continue
    const column = sql.ref(moment === 'start' ? 'start_artifact_id' : 'end_artifact_id')
    const [bare] = await rowsOf(
      tx,
      sql`select id from alerts where id = ${alertId} and device_id = ${device.id} and ${column} is null`,
    )
    if (!bare) continue
    const about = { id: artifactId, ownerId, teamId: device.team_id, kind: 'screenshot' as const, name: `alert-${moment}.jpg` }
    await insertFreeArtifact(tx, { ...about, contentType: 'image/jpeg', sizeBytes, sha256 })
    await sql`update alerts set ${column} = ${artifactId} where id = ${alertId}`.execute(tx.kysely)
  }
}
