import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { LabError } from '@virtualpytest/shared'

/** Where contents of artifacts live. Keys are made by the server alone; an S3-compatible store will be a second one of these. */
export interface ObjectStore {
  /** Stores the content completely or not at all. Throws `payload_too_large` beyond the limit. */
  put: (key: string, content: Readable | Buffer, options: { maxBytes: number }) => Promise<{ sizeBytes: number; sha256: string }>
  /** Undefined when there is no such object. */
  get: (key: string) => Promise<{ content: Readable; sizeBytes: number } | undefined>
}

const keyPattern = /^[0-9a-f-]{36}\/[0-9a-f-]{36}$/

/** Objects as files below one folder. A file appears under its name only when it is complete and on disk. */
export function createDiskStore(folder: string): ObjectStore {
  const pathOf = (key: string): string => {
    if (!keyPattern.test(key)) throw new Error('not a key of this store')
    return path.join(folder, key.slice(0, 2), key)
  }
  return {
    async put(key, content, { maxBytes }) {
      const target = pathOf(key)
      const partial = `${target}.${randomUUID()}.part`
      await mkdir(path.dirname(target), { recursive: true })
      try {
        const stored = await writeFileChecked(partial, content, maxBytes)
        await rename(partial, target)
        return stored
      } catch (error) {
        await rm(partial, { force: true })
        if (isDiskTrouble(error)) throw new LabError('storage_unavailable', { cause: error })
        throw error
      }
    },
    async get(key) {
      const file = pathOf(key)
      const found = await stat(file).catch(() => undefined)
      return found?.isFile() ? { content: createReadStream(file), sizeBytes: found.size } : undefined
    },
  }
}

async function writeFileChecked(
  file: string,
  content: Readable | Buffer,
  maxBytes: number,
): Promise<{ sizeBytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  const handle = await open(file, 'wx')
  try {
    for await (const chunk of Buffer.isBuffer(content) ? [content] : (content as AsyncIterable<Buffer>)) {
      sizeBytes += chunk.length
      if (sizeBytes > maxBytes) throw new LabError('payload_too_large')
      hash.update(chunk)
      await handle.writeFile(chunk)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  return { sizeBytes, sha256: hash.digest('hex') }
}

const isDiskTrouble = (error: unknown): boolean =>
  ['ENOSPC', 'EROFS', 'EACCES', 'EIO', 'EDQUOT', 'EMFILE'].includes((error as { code?: string }).code ?? '')
