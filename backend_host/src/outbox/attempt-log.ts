import { type FileHandle, open, stat } from 'node:fs/promises'

/** One progress call carries at most this much. */
export const batchLines = 500
const batchBytes = 256 * 1024
/** What one run may write. Beyond it lines are dropped and the log says so; the result is never touched. */
export const defaultLogLimits = { lines: 1_000_000, bytes: 64 * 1024 * 1024 }
export type LogLimits = typeof defaultLogLimits

const newline = 0x0a

/**
 * The log of one run on disk: one line of text per line, read back in batches by index. Nothing but a cursor is held
 * in memory, so that a run may write more than the agent has. It is not flushed to the platter: a killed agent loses
 * nothing, a power cut at most the last seconds.
 */
export class AttemptLog {
  readonly #file: FileHandle
  readonly #limits: LogLimits
  #lines: number
  #bytes: number
  #isCut: boolean
  #lost = 0
  #writes: Promise<void> = Promise.resolve()
  #cursor = { line: 0, offset: 0 }

  private constructor(file: FileHandle, limits: LogLimits, found: { lines: number; bytes: number }) {
    this.#file = file
    this.#limits = limits
    this.#lines = found.lines
    this.#bytes = found.bytes
    this.#isCut = found.lines > limits.lines || found.bytes > limits.bytes
  }

  static async open(path: string, limits: LogLimits = defaultLogLimits): Promise<AttemptLog> {
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    )
    const file = await open(path, 'a+', 0o600)
    const found = await countLines(file, size)
    if (found.isPartial) await file.write('\n')
    return new AttemptLog(file, limits, { lines: found.lines, bytes: size + (found.isPartial ? 1 : 0) })
  }

  /** Lines that are on disk, ready to be sent. */
  get count(): number {
    return this.#lines
  }

  /** Appends in the order of the calls. Never rejects: a full disk costs log lines, not the run. */
  append(lines: readonly string[]): Promise<void> {
    this.#writes = this.#writes
      .then(() => this.#write(lines))
      .catch(() => {
        this.#lost += lines.length
      })
    return this.#writes
  }

  async #write(given: readonly string[]): Promise<void> {
    if (this.#isCut) return
    const lines = this.#lost === 0 ? given : [`[${this.#lost} lines lost: they could not be written to disk]`, ...given]
    const accepted: string[] = []
    let bytes = 0
    for (const line of lines) {
      const size = Buffer.byteLength(line) + 1
      if (this.#lines + accepted.length >= this.#limits.lines || this.#bytes + bytes + size > this.#limits.bytes) {
        const marker = `[log cut: the limit of ${this.#limits.lines} lines or ${this.#limits.bytes} bytes is reached, further lines are dropped]`
        accepted.push(marker)
        bytes += Buffer.byteLength(marker) + 1
        this.#isCut = true
        break
      }
      accepted.push(line)
      bytes += size
    }
    if (accepted.length === 0) return
    await this.#writeAll(Buffer.from(`${accepted.join('\n')}\n`))
    this.#lines += accepted.length
    this.#bytes += bytes
    this.#lost = 0
  }

  async #writeAll(data: Buffer): Promise<void> {
    const before = this.#bytes
    try {
      for (let written = 0; written < data.length; ) {
        written += (await this.#file.write(data, written, data.length - written)).bytesWritten
      }
    } catch (error) {
      // Half a batch would shift every later index.
      await this.#file.truncate(before).catch(() => undefined)
      throw error
    }
  }

  /** The next lines from index `from` on, at most one call's worth. */
  async read(from: number): Promise<string[]> {
    if (from >= this.#lines) return []
    if (from < this.#cursor.line) this.#cursor = { line: 0, offset: 0 }
    for (;;) {
      const chunk = await this.#readChunk(this.#cursor.offset)
      const { lines, ends } = splitChunk(chunk)
      if (lines.length === 0) return []
      const skip = from - this.#cursor.line
      if (skip < lines.length) {
        this.#cursor = { line: from, offset: this.#cursor.offset + (ends[skip - 1] ?? 0) }
        return limitBatch(lines.slice(skip, skip + batchLines))
      }
      this.#cursor = { line: this.#cursor.line + lines.length, offset: this.#cursor.offset + (ends.at(-1) ?? 0) }
    }
  }

  /** The end of the log as one text of at most `bytes`. */
  async tail(bytes: number): Promise<string> {
    await this.#writes
    const from = Math.max(0, this.#bytes - bytes)
    const buffer = Buffer.alloc(this.#bytes - from)
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, from)
    const text = buffer.subarray(0, bytesRead).toString('utf8')
    return from === 0 ? text : text.slice(text.indexOf('\n') + 1)
  }

  async close(): Promise<void> {
    await this.#writes
    await this.#file.close()
  }

  async #readChunk(offset: number): Promise<Buffer> {
    const buffer = Buffer.alloc(Math.min(batchBytes, this.#bytes - offset))
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, offset)
    return buffer.subarray(0, bytesRead)
  }
}

function splitChunk(chunk: Buffer): { lines: string[]; ends: number[] } {
  const lines: string[] = []
  const ends: number[] = []
  let from = 0
  for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
    lines.push(chunk.toString('utf8', from, at))
    from = at + 1
    ends.push(from)
  }
  return { lines, ends }
}

/** The limit counts what travels: as JSON a line of control characters is six times as long. */
function limitBatch(lines: readonly string[]): string[] {
  let bytes = 0
  const end = lines.findIndex((line, index) => {
    bytes += Buffer.byteLength(JSON.stringify(line)) + 1
    return bytes > batchBytes && index > 0
  })
  return end === -1 ? [...lines] : lines.slice(0, end)
}

async function countLines(file: FileHandle, size: number): Promise<{ lines: number; isPartial: boolean }> {
  const buffer = Buffer.alloc(batchBytes)
  let lines = 0
  let last = newline
  for (let offset = 0; offset < size; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset)
    if (bytesRead === 0) break
    for (let at = buffer.indexOf(newline); at !== -1 && at < bytesRead; at = buffer.indexOf(newline, at + 1)) lines++
    last = buffer[bytesRead - 1] ?? newline
    offset += bytesRead
  }
  return { lines: last === newline ? lines : lines + 1, isPartial: last !== newline }
}
