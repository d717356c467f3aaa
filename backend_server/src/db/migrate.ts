import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { closeClient, connectClient } from './client.ts'
import { DatabaseUnavailable, errorCodeOf, isConnectionLoss } from './errors.ts'
import type { Log } from './log.ts'
import { type MigrationFile, readMigrations } from './migration-files.ts'
import { schemaName } from './pool.ts'

/*
 * Forward-only migrations: numbered SQL files, each in one transaction together with its row in schema_migrations, so a
 * killed server leaves either all of a file or nothing. Names need no schema (search_path is set for the transaction),
 * except inside functions, which run later under whatever search_path the caller has.
 *
 * Several servers may start at once: every transaction first takes a transaction-level advisory lock (it also works through
 * a transaction pooler, where a session lock would be left behind on a backend that others get) and then reads again what is
 * applied. Nobody queues inside the database: the lock is tried, so a waiting server holds nothing.
 *
 * A file is never edited after it was applied anywhere: checksums are compared. A database that is ahead of this server is
 * accepted, unless one of the unknown migrations is breaking.
 */

export type MigrationErrorCode =
  | 'migration_changed'
  | 'migration_missing'
  | 'migration_out_of_order'
  | 'database_newer'
  | 'migration_failed'

/** The schema cannot be brought to this server's version. The message says what to do. */
export class MigrationError extends Error {
  readonly code: MigrationErrorCode

  constructor(code: MigrationErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'MigrationError'
    this.code = code
  }
}

export interface MigrateOptions {
  url: string
  log: Log
  /** Folder with the SQL files; default: the server's own. */
  folder?: string
  /** Called while this server holds the lock, before each file, and at the end. */
  onProgress?: (done: number, total: number, name: string) => void
  /** Called whenever this server has to wait, with what for. */
  onWait?: (waitingFor: string) => void
  /**
   * Called before the first file that was pending at the start of this call, under the lock and so on one server alone.
   * Nothing is applied when it throws.
   */
  beforeFirst?: (pending: readonly MigrationFile[]) => Promise<void>
  signal?: AbortSignal
}

export interface MigrateResult {
  /** Versions applied by this call. */
  applied: number[]
  /** The database's version afterwards. */
  version: number
}

interface AppliedRow {
  version: number
  name: string
  checksum: string
  breaking: boolean
}

const noTimeLimit = { connectTimeoutMs: 5000, queryTimeoutMs: 0 }

/** Brings the database to the newest version. Throws DatabaseUnavailable or MigrationError; safe to call again after either. */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const files = readMigrations(options.folder)
  const client = await connectClient(options.url, noTimeLimit)
  try {
    return await migrateWith(client, files, options)
  } catch (error) {
    throw isConnectionLoss(error) && !(error instanceof DatabaseUnavailable) ? new DatabaseUnavailable(error) : error
  } finally {
    await closeClient(client)
  }
}

/** What the next start would do; throws MigrationError where it would refuse. Changes nothing. */
export async function inspectMigrations(options: Pick<MigrateOptions, 'url' | 'log' | 'folder'>): Promise<{
  version: number
  pending: string[]
}> {
  const files = readMigrations(options.folder)
  const client = await connectClient(options.url, noTimeLimit)
  try {
    const known = await readApplied(client)
    check(known, files, options.log)
    const present = new Set(known.map((row) => row.version))
    return {
      version: Math.max(0, ...present),
      pending: files.filter((file) => !present.has(file.version)).map((file) => file.file),
    }
  } finally {
    await closeClient(client)
  }
}

async function migrateWith(client: pg.Client, files: MigrationFile[], options: MigrateOptions): Promise<MigrateResult> {
  const known = await readApplied(client)
  check(known, files, options.log)
  const present = new Set(known.map((row) => row.version))
  const pending = files.filter((file) => !present.has(file.version))
  const applied: number[] = []
  for (const [index, file] of pending.entries()) {
    options.signal?.throwIfAborted()
    const startedAt = performance.now()
    // When another server has applied the first file by now, it has also done what comes before it. A file that steps back
    // and is tried again does not repeat it.
    let prepared: Promise<void> | undefined
    const before: BeforeFile = async () => {
      if (index === 0 && known.length > 0) prepared ??= options.beforeFirst?.(pending)
      await prepared
      options.onProgress?.(index, pending.length, file.name)
    }
    if (!(await applyUnderLock(client, file, files, options, before))) continue
    applied.push(file.version)
    options.log.info({ migration: file.file, ms: Math.round(performance.now() - startedAt) }, 'migration applied')
  }
  if (pending.length > 0) options.onProgress?.(pending.length, pending.length, '')
  return { applied, version: Math.max(0, files.length, ...present) }
}

const lockPauseMs = 200
const lockTimeoutMs = 600_000
/** How long a file waits for a table that a running server uses, before it steps back and lets the others pass. */
const tableLockMs = 5000

/** True when this call applied the file, false when another server did meanwhile. */
async function applyUnderLock(
  client: pg.Client,
  file: MigrationFile,
  files: MigrationFile[],
  options: MigrateOptions,
  before: BeforeFile,
): Promise<boolean> {
  const deadline = Date.now() + lockTimeoutMs
  let waiting = false
  for (;;) {
    options.signal?.throwIfAborted()
    const outcome = await tryApply(client, file, files, options, before)
    if (outcome === 'applied' || outcome === 'already') return outcome === 'applied'
    if (Date.now() > deadline) {
      throw new MigrationError(
        'migration_failed',
        `Migration ${file.file} waited ${lockTimeoutMs / 60_000} minutes for ${outcome} and gave up.`,
      )
    }
    if (!waiting) options.log.info({ migration: file.file, waitingFor: outcome }, 'migration waits')
    waiting = true
    options.onWait?.(outcome)
    await pause(lockPauseMs)
  }
}

/** Held until the transaction ends; a restore takes it too. */
export const migrationLock = `pg_try_advisory_xact_lock(hashtext('${schemaName} migrations'))`

type BeforeFile = () => Promise<void>

type Outcome = 'applied' | 'already' | 'another server that is migrating' | 'a table that is in use'

async function tryApply(
  client: pg.Client,
  file: MigrationFile,
  files: MigrationFile[],
  options: MigrateOptions,
  before: BeforeFile,
): Promise<Outcome> {
  await client.query(
    `begin; set local search_path to ${schemaName}; set local statement_timeout to 0;
     set local idle_in_transaction_session_timeout to 0; set local lock_timeout to ${tableLockMs}`,
  )
  try {
    const outcome = await applyInTransaction(client, file, files, options, before)
    await client.query(outcome === 'applied' ? 'commit' : 'rollback')
    return outcome
  } catch (error) {
    await client.query('rollback').catch(() => {})
    if (errorCodeOf(error) === '55P03') return 'a table that is in use'
    throw error
  }
}

async function applyInTransaction(
  client: pg.Client,
  file: MigrationFile,
  files: MigrationFile[],
  options: MigrateOptions,
  before: BeforeFile,
): Promise<Outcome> {
  const lock = await client.query<{ got: boolean }>(`select ${migrationLock} as got`)
  if (!lock.rows[0]?.got) return 'another server that is migrating'
  await createMigrationsTable(client)
  const rows = await readApplied(client)
  check(rows, files, options.log)
  if (rows.some((row) => row.version === file.version)) return 'already'
  await before()
  if (file.alone) await runAlone(file, options)
  else await run(client, file)
  await noteApplied(client, file)
  return 'applied'
}

/** Inside the transaction that applied the file. */
export async function noteApplied(client: pg.Client, file: MigrationFile): Promise<void> {
  await client.query('insert into schema_migrations (version, name, checksum, breaking) values ($1, $2, $3, $4)', [
    file.version,
    file.name,
    file.checksum,
    file.breaking,
  ])
}

/** `create schema` asks for a right on the database even when the schema is there, hence the look first. */
export async function createMigrationsTable(client: pg.Client): Promise<void> {
  const found = await client.query<{ found: boolean }>(`select to_regnamespace('${schemaName}') is not null as found`)
  if (!found.rows[0]?.found) await client.query(`create schema ${schemaName}`)
  await client.query(`create table if not exists ${schemaName}.schema_migrations (
    version integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp(),
    breaking boolean not null default false
  )`)
}

async function run(client: pg.Client, file: MigrationFile): Promise<void> {
  try {
    await client.query(file.text)
  } catch (error) {
    if (isConnectionLoss(error) || errorCodeOf(error) === '55P03') throw error
    throw failed(file, error)
  }
}

/**
 * A statement that refuses a transaction runs on a second connection while this one keeps the lock. A kill in the middle
 * leaves an unusable index, which `if not exists` would take for finished, so such remains are dropped first.
 */
async function runAlone(file: MigrationFile, options: MigrateOptions): Promise<void> {
  const client = await connectClient(options.url, noTimeLimit)
  try {
    const remains = await client.query<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name
         from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = '${schemaName}' and not i.indisvalid`,
    )
    for (const { name } of remains.rows) await client.query(`drop index concurrently if exists ${name}`)
    await run(client, file)
  } finally {
    await closeClient(client)
  }
}

function failed(file: MigrationFile, error: unknown): MigrationError {
  const position = error instanceof Error && 'position' in error ? Number(error.position) : Number.NaN
  const line = position > 0 ? `, line ${file.text.slice(0, position).split('\n').length}` : ''
  return new MigrationError(
    'migration_failed',
    `Migration ${file.file}${line}: ${error instanceof Error ? error.message : 'unknown error'}`,
    error,
  )
}

async function readApplied(client: pg.Client): Promise<AppliedRow[]> {
  const found = await client.query<{ found: boolean }>(
    `select to_regclass('${schemaName}.schema_migrations') is not null as found`,
  )
  if (!found.rows[0]?.found) return []
  const result = await client.query<AppliedRow>(
    `select version, name, checksum, breaking from ${schemaName}.schema_migrations order by version`,
  )
  return result.rows
}

function check(applied: AppliedRow[], files: MigrationFile[], log: Log): void {
  const byVersion = new Map(files.map((file) => [file.version, file]))
  const newest = applied.at(-1)?.version ?? 0
  const unknown = applied.filter((row) => !byVersion.has(row.version))
  const breaking = unknown.find((row) => row.breaking)
  if (breaking) {
    throw new MigrationError(
      'database_newer',
      `The database is at version ${newest} and this server knows ${files.length}. Migration ${breaking.version} (${breaking.name}) is not compatible with it. Start the newer server, or restore a backup from before the upgrade.`,
    )
  }
  const changed = applied.find((row) => byVersion.has(row.version) && byVersion.get(row.version)?.checksum !== row.checksum)
  if (changed) {
    throw new MigrationError(
      'migration_changed',
      `Migration ${changed.version} (${changed.name}) was edited after it had been applied to this database. Restore the file and put the change into a new migration.`,
    )
  }
  const skipped = files.find((file) => file.version < newest && !applied.some((row) => row.version === file.version))
  if (skipped) {
    throw new MigrationError(
      'migration_out_of_order',
      `Migration ${skipped.file} is not applied although later ones are. Give it the next free number.`,
    )
  }
  if (unknown.length > 0) {
    log.warn(
      { databaseVersion: newest, serverVersion: files.length },
      'the database was migrated by a newer server; its changes are compatible',
    )
  }
}
