import type pg from 'pg'
import { closeClient, connectClient } from '../client.ts'
import { DatabaseUnavailable, errorCodeOf, isConnectionLoss } from '../errors.ts'
import type { Log } from '../log.ts'
import { createMigrationsTable, migrate, migrationLock, noteApplied } from '../migrate.ts'
import { type MigrationFile, readMigrations } from '../migration-files.ts'
import { schemaName } from '../pool.ts'
import { BackupError } from './backup-error.ts'
import { type BackupHead, type BackupTail, type TableHead, versionOf } from './backup-format.ts'
import { copyIn } from './copy.ts'
import { readBackup, type TableReader } from './read-backup.ts'
import {
  columnList,
  copySettings,
  digestTable,
  firstUsedTable,
  qualified,
  quote,
  readTables,
  type TableFacts,
} from './schema-facts.ts'

/*
 * Restore. First the whole file is read and checked. Then everything happens in one transaction: the schema is made by the
 * migrations up to the backup's version, rows are copied in, counts and digests are compared. Whatever goes wrong, and
 * wherever the process is killed, the database is as it was before. Only then the remaining migrations run, one by one.
 *
 * It works as the plain owner of the database. Foreign keys are dropped and made again at the end, which checks them for all
 * rows at once; our own triggers are switched off, because what they would write is in the backup.
 */

export interface RestoreOptions {
  url: string
  file: string
  log: Log
  /** Drop what is there. Without it a database that holds something is refused. */
  replace?: boolean
  migrationsFolder?: string
  onProgress?: (text: string) => void
  signal?: AbortSignal
}

export interface RestoredBackup {
  head: BackupHead
  tail: BackupTail
  /** Version of the schema afterwards. */
  version: number
  rows: number
  dataBytes: number
  checkMs: number
  loadMs: number
  /** A server that works on this database must be started again: it remembers things of before. */
  hasLiveServer: boolean
}

/**
 * Added to the fence of every device: hosts remember the highest token they have seen and refuse lower ones, and since the
 * backup was made they may have seen more than it knows.
 */
const fenceJump = 1_000_000

export async function restoreBackup(options: RestoreOptions): Promise<RestoredBackup> {
  const { url, file, log, signal, onProgress = () => {} } = options
  const checkFrom = performance.now()
  onProgress('checking the backup')
  const { head, tail } = await readBackup(file, undefined, signal)
  const known = readMigrations(options.migrationsFolder)
  const files = migrationsOf(head, known)
  const checkMs = Math.round(performance.now() - checkFrom)

  const loadFrom = performance.now()
  const client = await connectClient(url, { connectTimeoutMs: 5000, queryTimeoutMs: 0 })
  const abort = (): void => void closeClient(client)
  signal?.addEventListener('abort', abort)
  let hasLiveServer: boolean
  try {
    signal?.throwIfAborted()
    await client.query(`begin; ${copySettings}; set local lock_timeout to 10000`)
    await takeLock(client)
    hasLiveServer = await makeRoom(client, known, options.replace ?? false)
    onProgress(`making the schema, version ${versionOf(head)}`)
    await makeSchema(client, files)
    await load(client, { file, tail, onProgress, ...(signal && { signal }) })
    if (tail.tables.some((table) => table.name === 'devices'))
      await client.query(`update ${qualified('devices')} set fence = fence + ${fenceJump}`)
    await client.query('commit')
  } catch (error) {
    signal?.throwIfAborted()
    if (errorCodeOf(error) === '55P03')
      throw new BackupError(
        'unusable',
        'Other programs use the tables of this database. Stop the server, then restore. Nothing was changed.',
        error,
      )
    throw isConnectionLoss(error) && !(error instanceof DatabaseUnavailable) ? new DatabaseUnavailable(error) : error
  } finally {
    signal?.removeEventListener('abort', abort)
    await closeClient(client)
  }
  const loadMs = Math.round(performance.now() - loadFrom)
  onProgress('applying newer migrations')
  const migrated = await migrate({ url, log, ...(options.migrationsFolder && { folder: options.migrationsFolder }) })
  return {
    head,
    tail,
    version: migrated.version,
    rows: tail.tables.reduce((sum, one) => sum + one.rows, 0),
    dataBytes: tail.tables.reduce((sum, one) => sum + one.bytes, 0),
    checkMs,
    loadMs,
    hasLiveServer,
  }
}

/** The files that lead to the backup's version; they must be the very ones it was made with. */
function migrationsOf(head: BackupHead, files: readonly MigrationFile[]): MigrationFile[] {
  for (const wanted of head.migrations) {
    const file = files.find((one) => one.version === wanted.version)
    if (!file) {
      throw new BackupError(
        'newer',
        `The backup was made by version ${head.product} with schema ${versionOf(head)}, and this version knows schema ${files.length}. Restore it with that version or a newer one.`,
      )
    }
    if (file.checksum !== wanted.checksum) {
      throw new BackupError(
        'unusable',
        `Migration ${file.file} is not the one the backup was made with. Restore it with version ${head.product}.`,
      )
    }
  }
  return files.filter((file) => head.migrations.some((one) => one.version === file.version))
}

async function takeLock(client: pg.Client): Promise<void> {
  const lock = await client.query<{ got: boolean }>(`select ${migrationLock} as got`)
  if (!lock.rows[0]?.got) throw new BackupError('unusable', 'A server is migrating this database. Stop it, then restore.')
}

/** Returns whether a server is at work here. */
async function makeRoom(client: pg.Client, files: readonly MigrationFile[], replace: boolean): Promise<boolean> {
  const found = await client.query<{ schema: boolean; leaders: boolean }>(
    `select to_regnamespace('${schemaName}') is not null as schema, to_regclass('${schemaName}.leader_leases') is not null as leaders`,
  )
  if (!found.rows[0]?.schema) return false
  const live = found.rows[0].leaders
    ? await client.query(`select 1 from ${qualified('leader_leases')} where expires_at > now() limit 1`)
    : undefined
  const hasLiveServer = (live?.rows.length ?? 0) > 0
  const used = await firstUsedTable(client)
  if (used !== undefined && !replace) {
    throw new BackupError(
      'not_empty',
      `The database is not empty (table ${used} has rows). Restore into an empty one, or give --replace to lose what is there.`,
    )
  }
  // With the other schemas that migrations make, such as the one for views. Without ours they would be somebody else's.
  for (const name of [schemaName, ...otherSchemas(files)]) await client.query(`drop schema if exists ${quote(name)} cascade`)
  return hasLiveServer
}

async function makeSchema(client: pg.Client, files: readonly MigrationFile[]): Promise<void> {
  await createMigrationsTable(client)
  for (const file of files) {
    // In an empty schema an index needs no care for other users, and only so it fits into the transaction.
    await client.query(file.alone ? file.text.replace(/\bconcurrently\b/gi, '') : file.text)
    await noteApplied(client, file)
  }
}

const otherSchemas = (files: readonly MigrationFile[]): string[] =>
  [
    ...new Set(
      files.flatMap((file) =>
        [...file.text.matchAll(/^\s*create schema (?:if not exists )?"?([a-z_]+)"?/gim)].map((one) => one[1] ?? ''),
      ),
    ),
  ].filter((name) => name !== schemaName && name !== 'public')

interface LoadInput {
  file: string
  tail: BackupTail
  onProgress: (text: string) => void
  signal?: AbortSignal
}

async function load(client: pg.Client, { file, tail, onProgress, signal }: LoadInput): Promise<void> {
  const tables = await readTables(client)
  const byName = new Map(tables.map((table) => [table.name, table]))
  const foreignKeys = await dropForeignKeys(client)
  const triggers = await switchTriggersOff(client)
  // Migrations put a few rows into some tables; the backup has them as they became.
  for (const table of tables) await client.query(`delete from ${qualified(table.name)}`)
  let position = 0
  const loadTable: TableReader = async (head, rows) => {
    const table = byName.get(head.table)
    if (!table || !hasColumns(table, head))
      throw new BackupError('unusable', `Table ${head.table} of the backup does not fit the schema of its version.`)
    position += 1
    onProgress(`${head.table} (${position} of ${tail.tables.length})`)
    await copyIn(client, `copy ${qualified(head.table)} (${columnList(head.columns)}) from stdin`, rows)
  }
  await readBackup(file, loadTable, signal)
  onProgress('comparing')
  for (const wanted of tail.tables) {
    const table = byName.get(wanted.name)
    const { rows, content } = table ? await digestTable(client, table) : { rows: 0, content: '' }
    if (rows !== wanted.rows || content !== wanted.content)
      throw new BackupError(
        'damaged',
        `Table ${wanted.name} did not arrive as it was backed up (${rows} of ${wanted.rows} rows). Nothing was changed.`,
      )
  }
  for (const one of tail.sequences) {
    await client.query('select setval($1::regclass, $2, $3)', [qualified(one.name), one.last_value, one.is_called])
  }
  onProgress('checking references')
  for (const statement of [...foreignKeys, ...triggers]) await client.query(statement)
  if (tables.length > 0) await client.query(`analyze ${tables.map((table) => qualified(table.name)).join(', ')}`)
}

const hasColumns = (table: TableFacts, head: TableHead): boolean =>
  table.columns.length === head.columns.length && head.columns.every((name) => table.columns.includes(name))

/** Returns the statements that make them again. */
async function dropForeignKeys(client: pg.Client): Promise<string[]> {
  const result = await client.query<{ table: string; name: string; definition: string }>(
    `select c.relname as table, k.conname as name, pg_get_constraintdef(k.oid) as definition
       from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and k.contype = 'f' and k.conparentid = 0
      order by c.relname, k.conname`,
    [schemaName],
  )
  for (const { table, name } of result.rows) await client.query(`alter table ${qualified(table)} drop constraint ${quote(name)}`)
  return result.rows.map(
    ({ table, name, definition }) => `alter table ${qualified(table)} add constraint ${quote(name)} ${definition}`,
  )
}

/** Returns the statements that switch them on again. Only our own: those of the system are part of the constraints. */
async function switchTriggersOff(client: pg.Client): Promise<string[]> {
  const result = await client.query<{ table: string; name: string }>(
    `select c.relname as table, t.tgname as name
       from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and not t.tgisinternal and t.tgenabled = 'O' and t.tgparentid = 0`,
    [schemaName],
  )
  for (const { table, name } of result.rows) await client.query(`alter table ${qualified(table)} disable trigger ${quote(name)}`)
  return result.rows.map(({ table, name }) => `alter table ${qualified(table)} enable trigger ${quote(name)}`)
}
