import { open, readFile, rename } from 'node:fs/promises'
import path from 'node:path'

/**
 * Replaces a file so that after a crash or power cut there is the old content or the new one, never a part:
 * written beside, flushed, renamed, and the folder flushed because the new name lives there.
 */
export async function writeDurably(file: string, content: string): Promise<void> {
  const beside = `${file}.new`
  const handle = await open(beside, 'w', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(beside, file)
  await syncFolder(path.dirname(file))
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The parsed file, or undefined when it is absent or damaged (only files not written durably can be). */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
