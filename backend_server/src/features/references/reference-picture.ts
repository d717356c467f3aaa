import { randomUUID } from 'node:crypto'
import { LabError, type PictureType, pictureType } from '@virtualpytest/shared'
import type { Transaction } from '../../db/database.ts'
import { insertFreeArtifact, type ObjectStore, storageKey } from '../artifacts/index.ts'

export const largestPicture = 8 * 1024 * 1024

export interface Picture {
  data: Buffer
  contentType: PictureType
}

/** A picture as an agent sends it; what it is, its first bytes say. Undefined when the answer holds none. */
export function readPicture(answer: Record<string, unknown>): Picture | undefined {
  const text = answer.image_base64
  if (typeof text !== 'string' || text === '') return undefined
  const data = Buffer.from(text, 'base64')
  if (data.length > largestPicture) throw new LabError('payload_too_large', { text: 'The picture is larger than 8 MB.' })
  const contentType = pictureType(data)
  if (!contentType) {
    throw new LabError('host_error', { text: 'The host sent something else than a picture.', errorType: 'host_error' })
  }
  return { data, contentType }
}

/** Writes the content; the row that names it is written by the returned function, inside the transaction of the reference. */
export async function storePicture(
  store: ObjectStore,
  { teamId, name, picture }: { teamId: string; name: string; picture: Picture },
): Promise<{ artifactId: string; record: (tx: Transaction) => Promise<void> }> {
  const [id, ownerId] = [randomUUID(), randomUUID()]
  const stored = await store.put(storageKey(ownerId, id), picture.data, { maxBytes: largestPicture })
  const { contentType } = picture
  const extension = contentType === 'image/png' ? 'png' : 'jpg'
  return {
    artifactId: id,
    record: (tx) =>
      insertFreeArtifact(tx, { id, ownerId, teamId, kind: 'file', name: `${name}.${extension}`, contentType, ...stored }),
  }
}
