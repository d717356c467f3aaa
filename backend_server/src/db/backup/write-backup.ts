import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { chown, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip } from 'node:zlib'
import type pg from 'pg'
import { closeClient, connectClient } from '../client.ts'
import { DatabaseUnavailable, errorCodeOf, isConnectionLoss } from '../errors.ts'
import { BackupError } from './backup-error.ts'
import {
  type BackupHead,
  type BackupKind,
  type BackupTail,
  countRows,
  endOfRows,
  formatVersion,
  type TableHead,
} from './backup-format.ts'
import { copyOut } from './copy.ts'
import { readBackup } from './read-backup.ts'
import {
  columnList,
  copySettings,
  digestTable,
  qualified,
  readAppliedMigrations,
  readSequences,
  readTables,
  type TableFacts,
} from './schema-facts.ts'

export interface WriteBackupOptions {
  url: string
  /** Must not exist; its folder is made. */
  file: string
  kind: BackupKind
  /** Version of the product. */
  product: string
  /** Free space that must remain, as a multiple of the tables' size. Default 1: what a backup can need at most. */
  spaceFactor?: number
  onProgress?: (table: string, index: number, total: number) => void
  signal?: AbortSignal
}

export interface WrittenBackup {
  file: string
  /** Size of the file. */
  bytes: number
  rows: number
  /** Size of the rows before they were packed. */
  dataBytes: number
  head: BackupHead
  tail: BackupTail
  writeMs: number
  verifyMs: number
}

/**
 * Writes all tables of our schema as of one moment, reads the file back completely, and gives it its name only then: what has
 * the name is whole. A failure leaves nothing behind; the database is only read.
 */
export async function writeBackup(options: WriteBackupOptions): Promise<WrittenBackup> {
  const { file, signal } = options
  const startedAt = performance.now()
  await makeFolder(path.dirname(file))
  const draft = `${file}.partial-${randomUUID().slice(0, 8)}`
  const client = await connectClient(options.url, { connectTimeoutMs: 5000, queryTimeoutMs: 0 })
  const abort = (): void => void closeClient(client)
  signal?.addEventListener('abort', abort)
  try {
    signal?.throwIfAborted()
    const { head, tail } = await exportTo(client, draft, options)
    const writeMs = performance.now() - startedAt
    const verifyFrom = performance.now()
    await verifyAgainst(draft, tail, signal)
    await syncFile(draft)
    await giveToOwnerOf(path.dirname(file), draft)
    await rename(draft, file)
    await syncFile(path.dirname(file))
    return {
      file,
      bytes: (await stat(file)).size,
      rows: tail.tables.reduce((sum, one) => sum + one.rows, 0),
      dataBytes: tail.tables.reduce((sum, one) => sum + one.bytes, 0),
      head,
      tail,
      writeMs: Math.round(writeMs),
      verifyMs: Math.round(performance.now() - verifyFrom),
    }
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    signal?.throwIfAborted()
    throw explain(error, path.dirname(file))
  } finally {
    signal?.removeEventListener('abort', abort)
    await closeClient(client)
  }
}

async function exportTo(
  client: pg.Client,
  draft: string,
  options: WriteBackupOptions,
): Promise<{ head: BackupHead; tail: BackupTail }> {
  await client.query(`begin isolation level repeatable read read only; ${copySettings}`)
  const tables = await readTables(client)
  if (tables.length === 0)
    throw new BackupError('unusable', 'The database holds no tables of this product; there is nothing to back up.')
  await checkSpace(path.dirname(draft), tables, options.spaceFactor ?? 1)
  const version = await client.query<{ version: string }>("select current_setting('server_version') as version")
  const head: BackupHead = {
    virtualpytest_backup: formatVersion,
    created_at: new Date().toISOString(),
    kind: options.kind,
    product: options.product,
    postgres: version.rows[0]?.version ?? '',
    migrations: await readAppliedMigrations(client),
  }
  const output = openOutput(draft)
  try {
    await output.write(toLine(head))
    const tail: BackupTail = { tables: [], sequences: await readSequences(client) }
    for (const [index, table] of tables.entries()) {
      options.onProgress?.(table.name, index, tables.length)
      tail.tables.push(await exportTable(client, table, output))
    }
    await client.query('commit')
    await output.write(toLine(tail))
    await output.end()
    return { head, tail }
  } catch (error) {
    output.cancel()
    throw error
  }
}

async function exportTable(client: pg.Client, table: TableFacts, output: Output): Promise<BackupTail['tables'][number]> {
  await output.write(toLine({ table: table.name, columns: table.columns } satisfies TableHead))
  const { rows, content } = await digestTable(client, table)
  const hash = createHash('sha256')
  let copied = 0
  let bytes = 0
  await copyOut(client, `copy (select ${columnList(table.columns)} from ${qualified(table.name)}) to stdout`, async (chunk) => {
    hash.update(chunk)
    copied += countRows(chunk)
    bytes += chunk.length
    await output.write(chunk)
  })
  if (copied !== rows) throw new Error(`table ${table.name} gave ${copied} of its ${rows} rows`)
  await output.write(endOfRows)
  return { name: table.name, rows, bytes, sha256: hash.digest('hex'), content }
}

const toLine = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value)}\n`)

interface Output {
  write(chunk: Buffer): Promise<void>
  end(): Promise<void>
  cancel(): void
}

function openOutput(file: string): Output {
  // Level 1: on rows of ours it packs a few percent less than the default and is several times as fast.
  const gzip = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: 64 * 1024 })
  const finished = pipeline(gzip, createWriteStream(file, { flags: 'wx', mode: 0o600 }))
  // Whoever writes next gets the failure; until then nobody waits for it.
  finished.catch(() => {})
  return {
    write(chunk) {
      // Resolves when the chunk is packed: its memory is used again then.
      const packed = new Promise<void>((resolve, reject) => {
        gzip.write(chunk, (error) => (error ? reject(error) : resolve()))
      })
      packed.catch(() => {})
      // A disk that fails ends the stream, and it is the disk's error that says why.
      return Promise.race([packed.catch(() => finished), finished])
    },
    end() {
      gzip.end()
      return finished
    },
    cancel: () => void gzip.destroy(),
  }
}

/** The file as it is on the disk against what was sent to it: a disk that lies about writes is noticed here. */
async function verifyAgainst(file: string, written: BackupTail, signal: AbortSignal | undefined): Promise<void> {
  const { tail } = await readBackup(file, undefined, signal)
  if (JSON.stringify(tail) !== JSON.stringify(written))
    throw new BackupError('damaged', 'The backup reads back differently from what was written.')
}

const spareBytes = 16 * 1024 * 1024

async function checkSpace(folder: string, tables: TableFacts[], factor: number): Promise<void> {
  const disk = await statfs(folder)
  const free = disk.bavail * disk.bsize
  const needed = tables.reduce((sum, one) => sum + one.bytes, 0) * factor + spareBytes
  if (free >= needed) return
  throw new BackupError(
    'no_space',
    `No backup was made: ${folder} has ${megabytes(free)} MB free and ${megabytes(needed)} MB may be needed. Free some space, or choose another folder with BACKUP_DIR.`,
  )
}

const megabytes = (bytes: number): number => Math.ceil(bytes / 1024 / 1024)

async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function explain(error: unknown, folder: string): unknown {
  if (error instanceof BackupError || error instanceof DatabaseUnavailable) return error
  const code = errorCodeOf(error)
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new BackupError('no_space', `No backup was made: the disk of ${folder} is full.`, error)
  if (code !== undefined && unusableFolder.test(code)) return folderError(folder, code, error)
  return isConnectionLoss(error) ? new DatabaseUnavailable(error) : error
}

const unusableFolder = /^(EACCES|EPERM|EROFS|EEXIST|ENOTDIR|ENOENT|ENAMETOOLONG)$/

const folderError = (folder: string, code: string, cause: unknown): BackupError =>
  new BackupError(
    'unusable',
    `No backup was made: the folder ${folder} cannot be written (${code}). Change its owner, or choose another one with BACKUP_DIR.`,
    cause,
  )

/** Its own steps, because the recursive call of Node never returns where a parent exists and refuses (/proc). */
async function makeFolder(folder: string): Promise<void> {
  if (existsSync(folder)) return
  const parent = path.dirname(folder)
  if (parent !== folder) await makeFolder(parent)
  try {
    await mkdir(folder, { mode: 0o700 })
    await giveToOwnerOf(parent, folder)
  } catch (error) {
    const code = errorCodeOf(error)
    if (code === 'EEXIST') return
    throw code === undefined ? error : folderError(folder, code, error)
  }
}

/** In a container an administrator is root and the server is not: what root makes here, the server must be able to remove. */
async function giveToOwnerOf(folder: string, made: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = await stat(folder)
  await chown(made, uid, gid)
}
