import { randomUUID } from 'node:crypto'
import { LabError } from '@virtualpytest/shared'
import type { Transaction } from '../../db/database.ts'
import { insertFreeArtifact, type ObjectStore, storageKey } from '../artifacts/index.ts'

export const largestPicture = 8 * 1024 * 1024

export interface Picture {
  data: Buffer
  contentType: 'image/png' | 'image/jpeg'
}

/** A picture as an agent sends it; what it is, its first bytes say. Undefined when the answer holds none. */
export function readPicture(answer: Record<string, unknown>): Picture | undefined {
  const text = answer.image_base64
  if (typeof text !== 'string' || text === '') return undefined
  const data = Buffer.from(text, 'base64')
  if (data.length > largestPicture) throw new LabError('payload_too_large', { text: 'The picture is larger than 8 MB.' })
  const isPng = data.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))
  const isJpeg = data.subarray(0, 3).equals(Buffer.from('ffd8ff', 'hex'))
  if (!isPng && !isJpeg) {
    throw new LabError('host_error', { text: 'The host sent something else than a picture.', errorType: 'host_error' })
  }
  return { data, contentType: isPng ? 'image/png' : 'image/jpeg' }
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
