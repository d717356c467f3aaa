/** Longest line kept, in bytes of UTF-8; the rest of it is dropped and the cut is said in the line itself. */
export const maxLineBytes = 8192
/** Room for the text that says what was cut. */
const cutRoom = 64
const newline = 0x0a
const carriageReturn = 0x0d

export interface LineSplitter {
  /** Whole lines that end in this chunk. */
  push(chunk: Buffer): string[]
  /** What stood after the last newline. */
  end(): string[]
}

/**
 * Cuts a byte stream into lines of text that any reader can store: invalid UTF-8 and NUL become U+FFFD, a line of
 * any length takes bounded memory. Splitting happens on bytes, so a character cut in two by chunks stays whole.
 */
export function createLineSplitter(): LineSplitter {
  let parts: Buffer[] = []
  let kept = 0
  let total = 0

  const take = (piece: Buffer): void => {
    total += piece.length
    const room = maxLineBytes - kept
    if (room <= 0 || piece.length === 0) return
    // A copy: the chunk is a view of a large pooled buffer that a half line must not keep alive.
    parts.push(Buffer.from(piece.subarray(0, room)))
    kept += Math.min(room, piece.length)
  }
  const finish = (): string => {
    let bytes = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts, kept)
    if (total === kept && bytes.at(-1) === carriageReturn) bytes = bytes.subarray(0, -1)
    const line = toText(bytes, total)
    parts = []
    kept = 0
    total = 0
    return line
  }
  return {
    push(chunk) {
      const lines: string[] = []
      let from = 0
      for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
        take(chunk.subarray(from, at))
        lines.push(finish())
        from = at + 1
      }
      take(chunk.subarray(from))
      return lines
    },
    end: () => (total > 0 ? [finish()] : []),
  }
}

function toText(bytes: Buffer, total: number): string {
  const text = storable(bytes.toString('utf8'))
  // Replacement characters take three bytes, so that a binary line may grow beyond the limit.
  if (total <= maxLineBytes && Buffer.byteLength(text) <= maxLineBytes) return text
  const head = Buffer.from(text).subarray(0, maxLineBytes - cutRoom)
  return `${head.toString('utf8').replace(/\uFFFD+$/, '')} ... [line cut: ${total} bytes]`
}

/** A database cannot store NUL, and a line must not contain what other readers take for a line end. */
const storable = (text: string): string => text.replace(/[\0\u0085\u2028\u2029]/g, '\uFFFD')
