import { LabError } from '@virtualpytest/shared'
import type { FastifyReply } from 'fastify'
import { answered } from '../../http/mount.ts'
import type { ArtifactRow } from './artifact.store.ts'
import type { ObjectStore } from './object-store.ts'

/** What a browser may show itself; anything else a script uploaded is offered as a download, never run. */
const shown = /^(image\/(png|jpeg|webp|gif)|video\/(mp4|webm)|text\/plain|application\/json)\b/
/** The report may style itself and show its pictures, nothing else: it carries text that devices and scripts produced. */
const reportPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'; sandbox allow-popups allow-downloads"

/** Streams an artifact with headers that keep foreign content from acting as our own pages. */
export async function sendArtifact(
  reply: FastifyReply,
  store: ObjectStore,
  artifact: ArtifactRow | undefined,
): Promise<typeof answered> {
  const found = artifact?.status === 'stored' ? await store.get(artifact.storage_key) : undefined
  if (!artifact || !found) throw new LabError('artifact_not_found')
  const isReport = artifact.kind === 'report'
  const inline = isReport || shown.test(artifact.content_type)
  void reply
    .header('content-type', inline ? artifact.content_type : 'application/octet-stream')
    .header('content-length', found.sizeBytes)
    .header('content-disposition', `${inline ? 'inline' : 'attachment'}; filename*=UTF-8''${encodeURIComponent(artifact.name)}`)
    .header('content-security-policy', isReport ? reportPolicy : "default-src 'none'; sandbox")
    .header('x-content-type-options', 'nosniff')
    .send(found.content)
  return answered
}
