import { open } from 'node:fs/promises'

const longestTail = 256 * 1024
const longestLine = 4000

/** The last lines of a log, fit to leave the container: cut, and without what opens doors. */
export async function readLogTail(file: string, lines: number): Promise<string[]> {
  const handle = await open(file, 'r').catch(() => undefined)
  if (!handle || lines === 0) {
    await handle?.close()
    return []
  }
  try {
    const { size } = await handle.stat()
    const from = Math.max(0, size - longestTail)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - from), 0, size - from, from)
    const all = buffer.toString('utf8', 0, bytesRead).split('\n')
    // The first one is the end of a longer line when the reading began in the middle.
    const complete = from > 0 ? all.slice(1) : all
    return complete
      .filter((line) => line.trim() !== '')
      .slice(-lines)
      .map((line) => withoutSecrets(line.slice(0, longestLine)))
  } finally {
    await handle.close()
  }
}

const secrets: [RegExp, string][] = [
  // Passwords in URLs, the whole of it up to the last @ before the host ends.
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"']*):[^\s"']*@/gi, '$1:[removed]@'],
  [/\bvpt_[\w-]{20,}/g, '[removed]'],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi, '$1 [removed]'],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, '[removed]'],
  [/("?(?:password|passwd|secret|api[-_]?key|token|authorization)"?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;}&]+)/gi, '$1[removed]'],
]

export const withoutSecrets = (line: string): string =>
  secrets.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), line)
