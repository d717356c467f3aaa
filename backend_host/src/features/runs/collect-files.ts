import { randomUUID } from 'node:crypto'
import { lstat, readdir } from 'node:fs/promises'
import path from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import type { AttemptOutbox } from '../../outbox/attempt-outbox.ts'
import { cleanText } from './clean.ts'

const mostFiles = 100
const largestFileBytes = 32 * 1024 * 1024
const largestTotalBytes = 256 * 1024 * 1024

const contentTypes: Record<string, string> = {
  '.txt': 'text/plain; charset=utf-8',
  '.log': 'text/plain; charset=utf-8',
  '.csv': 'text/csv; charset=utf-8',
  '.json': 'application/json',
  '.xml': 'application/xml',
  '.html': 'text/html; charset=utf-8',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webm': 'video/webm',
  '.mp4': 'video/mp4',
}

export const artifactFolder = (outbox: AttemptOutbox): string => path.join(outbox.folder, 'files')

/** Name of an artifact: one line of at most 200 characters, never a path. */
export const artifactName = (name: string): string => cleanText(name.replace(/[\p{C}/\\]+/gu, '_'), 200) || 'file'

/** Makes artifacts of the files a script left in VPT_ARTIFACTS_DIR. Links are left out: they may point anywhere. */
export async function collectFiles(outbox: AttemptOutbox, log: FastifyBaseLogger): Promise<void> {
  const folder = artifactFolder(outbox)
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  let total = 0
  let count = 0
  for (const entry of entries.filter((one) => one.isFile())) {
    const file = path.join(entry.parentPath, entry.name)
    const name = path.relative(folder, file)
    const facts = await lstat(file).catch(() => undefined)
    if (!facts?.isFile()) continue
    if (count >= mostFiles || facts.size > largestFileBytes || total + facts.size > largestTotalBytes) {
      log.warn({ file: name, bytes: facts.size }, 'file of a run left out: too many or too large')
      continue
    }
    count++
    total += facts.size
    const content_type = contentTypes[path.extname(name).toLowerCase()] ?? 'application/octet-stream'
    await outbox.addArtifact({ id: randomUUID(), kind: 'file', name: artifactName(name), content_type }, { file })
  }
}
