import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { z } from 'zod'
import { BackupError } from './backup-error.ts'
import { BackupHead, BackupTail, countRows, endOfRows, formatVersion, TableHead, type TableSummary } from './backup-format.ts'

/** What a reader does with each table; it must read `rows` to its end. */
export type TableReader = (head: TableHead, rows: AsyncIterable<Buffer>) => Promise<void>

export interface ReadResult {
  head: BackupHead
  tail: BackupTail
}

/**
 * Reads a backup to its end and compares every count and hash with its last line. Throws BackupError `damaged` when anything
 * is not as it was written; what `onTable` did until then is the caller's to undo.
 */
export async function readBackup(file: string, onTable: TableReader = skip, signal?: AbortSignal): Promise<ReadResult> {
  let result: ReadResult | undefined
  let tableError: Error | undefined
  const guarded: TableReader = async (head, rows) => {
    try {
      await onTable(head, rows)
    } catch (error) {
      tableError = error instanceof Error ? error : new Error('a table could not be read', { cause: error })
      throw tableError
    }
  }
  try {
    await pipeline(
      createReadStream(file),
      createGunzip(),
      async (source: AsyncIterable<Buffer>) => {
        result = await readParts(createByteReader(source), guarded)
      },
      { ...(signal && { signal }) },
    )
  } catch (error) {
    if (signal?.aborted) throw error
    // An error of the database says nothing about the file; a broken row in it would have been found by its hash before.
    throw tableError ?? (error instanceof BackupError ? error : explain(error))
  }
  if (!result) throw damaged('it is empty')
  return result
}

async function skip(_head: TableHead, rows: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of rows);
}

async function readParts(reader: ByteReader, onTable: TableReader): Promise<ReadResult> {
  const head = parse(BackupHead, await reader.line(), 'its head')
  if (head.virtualpytest_backup !== formatVersion) {
    throw new BackupError(
      'newer',
      `The backup has format ${head.virtualpytest_backup} and this version reads format ${formatVersion}. Use the newer version.`,
    )
  }
  const found: Omit<TableSummary, 'content'>[] = []
  for (;;) {
    const line = await reader.line()
    const json = toJson(line)
    if (typeof json === 'object' && json !== null && 'tables' in json) {
      const tail = parse(BackupTail, line, 'its last line')
      if (!(await reader.isAtEnd())) throw damaged('something follows its last line')
      compare(tail, found)
      return { head, tail }
    }
    const table = parse(TableHead, line, 'the head of a table')
    const rows = measured(reader.rows())
    await onTable(table, rows.chunks)
    found.push({ name: table.table, ...rows.sum() })
  }
}

function measured(source: AsyncIterable<Buffer>) {
  const hash = createHash('sha256')
  let rows = 0
  let bytes = 0
  async function* chunks(): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      hash.update(chunk)
      rows += countRows(chunk)
      bytes += chunk.length
      yield chunk
    }
  }
  return { chunks: chunks(), sum: () => ({ rows, bytes, sha256: hash.digest('hex') }) }
}

function compare(tail: BackupTail, found: Omit<TableSummary, 'content'>[]): void {
  const names = (list: { name: string }[]): string => list.map((one) => one.name).join(', ')
  if (names(tail.tables) !== names(found)) throw damaged('its tables are not those of its last line')
  for (const [index, table] of tail.tables.entries()) {
    const read = found[index]
    if (read?.rows !== table.rows) throw damaged(`table ${table.name} has ${read?.rows ?? 0} rows instead of ${table.rows}`)
    if (read.bytes !== table.bytes || read.sha256 !== table.sha256) throw damaged(`the rows of table ${table.name} were changed`)
  }
}

const damaged = (why: string, cause?: unknown): BackupError =>
  new BackupError('damaged', `The backup is damaged: ${why}. Nothing was changed. Use another one (vpt backups --verify).`, cause)

/** What the file system says of a file it cannot give is no damage; everything else comes from unpacking. */
function explain(error: unknown): BackupError {
  const reason = error instanceof Error ? error.message : 'it cannot be read'
  const code = error instanceof Error && 'syscall' in error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return new BackupError('no_file', `There is no such backup (${reason}).`, error)
  return code === undefined ? damaged(reason, error) : new BackupError('unusable', `The backup cannot be read: ${reason}`, error)
}

function toJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    throw damaged('a line is not readable', error)
  }
}

function parse<T extends z.ZodType>(schema: T, line: string, what: string): z.output<T> {
  const parsed = schema.safeParse(toJson(line))
  if (!parsed.success) throw damaged(`${what} is not readable`, parsed.error)
  return parsed.data
}

interface ByteReader {
  line(): Promise<string>
  /** Up to the end mark, which is taken away. */
  rows(): AsyncIterable<Buffer>
  isAtEnd(): Promise<boolean>
}

const longestLine = 4_000_000
const endAfterRow = Buffer.concat([Buffer.from('\n'), endOfRows])

function createByteReader(source: AsyncIterable<Buffer>): ByteReader {
  const iterator = source[Symbol.asyncIterator]()
  let rest: Buffer = Buffer.alloc(0)

  async function more(): Promise<boolean> {
    const next = await iterator.next().catch((error: unknown) => {
      throw explain(error)
    })
    if (next.done) return false
    rest = rest.length === 0 ? next.value : Buffer.concat([rest, next.value])
    return true
  }
  function take(length: number): Buffer {
    const taken = rest.subarray(0, length)
    rest = rest.subarray(length)
    return taken
  }
  return {
    async line() {
      for (let from = 0; ; ) {
        const at = rest.indexOf(10, from)
        if (at !== -1) return take(at + 1).toString('utf8', 0, at)
        from = rest.length
        if (from > longestLine || !(await more())) throw damaged('it ends too early')
      }
    },
    async *rows() {
      while (rest.length < endOfRows.length) if (!(await more())) throw damaged('it ends too early')
      if (rest.subarray(0, endOfRows.length).equals(endOfRows)) {
        take(endOfRows.length)
        return
      }
      for (;;) {
        const at = rest.indexOf(endAfterRow)
        if (at !== -1) {
          yield take(at + 1)
          take(endOfRows.length)
          return
        }
        // The mark may stand across two pieces.
        if (rest.length >= endAfterRow.length) yield take(rest.length - endAfterRow.length + 1)
        if (!(await more())) throw damaged('it ends too early')
      }
    },
    async isAtEnd() {
      while (rest.length === 0) if (!(await more())) return true
      return false
    },
  }
}
