import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Config } from '../config.ts'
import { BackupError, readBackup, restoreBackup, writeBackup } from '../db/backup/index.ts'
import type { Log } from '../db/database.ts'
import { reachEmbedded } from '../db/embedded/index.ts'
import { inspectMigrations } from '../db/migrate.ts'
import { listBackups, makeBackup } from '../features/backups/index.ts'

export interface MaintenanceContext {
  config: Config
  log: Log
  signal: AbortSignal
  progress: (text: string) => void
}

/** The database that the server of this environment works on, whether the server runs or not. */
async function withDatabase<T>(
  { config, log, progress }: MaintenanceContext,
  makeNew: boolean,
  work: (url: string) => Promise<T>,
): Promise<T> {
  if (config.databaseUrl !== undefined) return work(config.databaseUrl)
  const embedded = await reachEmbedded({ dataDir: path.join(config.dataDir, 'postgres'), log, makeNew })
  if (embedded.started) progress('started the embedded database for this')
  try {
    return await work(embedded.url)
  } finally {
    await embedded.close()
  }
}

export function backup(context: MaintenanceContext, out: string | undefined): Promise<object> {
  const { config, log, signal, progress } = context
  return withDatabase(context, false, async (url) => {
    const onProgress = (table: string, index: number, total: number): void => progress(`${table} (${index + 1} of ${total})`)
    const product = config.version
    if (out !== undefined && existsSync(out)) throw new BackupError('unusable', `${out} exists already. Choose another name.`)
    const written =
      out === undefined
        ? await makeBackup(
            { folder: config.backupDir, keep: config.backupKeep, product },
            { url, kind: 'manual', schemaVersion: (await inspectMigrations({ url, log })).version, log, onProgress, signal },
          )
        : await writeBackup({ url, file: path.resolve(out), kind: 'manual', product, onProgress, signal })
    return {
      file: written.file,
      bytes: written.bytes,
      data_bytes: written.dataBytes,
      rows: written.rows,
      tables: written.tail.tables.length,
      schema_version: Math.max(0, ...written.head.migrations.map((one) => one.version)),
      created_at: written.head.created_at,
      write_ms: written.writeMs,
      verify_ms: written.verifyMs,
    }
  })
}

export function restore(context: MaintenanceContext, file: string, replace: boolean): Promise<object> {
  const { log, signal, progress } = context
  return withDatabase(context, true, async (url) => {
    const restored = await restoreBackup({ url, file: path.resolve(file), log, replace, onProgress: progress, signal })
    return {
      file: path.resolve(file),
      created_at: restored.head.created_at,
      rows: restored.rows,
      data_bytes: restored.dataBytes,
      tables: restored.tail.tables.length,
      backup_schema_version: Math.max(0, ...restored.head.migrations.map((one) => one.version)),
      schema_version: restored.version,
      check_ms: restored.checkMs,
      load_ms: restored.loadMs,
      server_running: restored.hasLiveServer,
    }
  })
}

export async function listVerified({ config, progress, signal }: MaintenanceContext, verify: boolean): Promise<object> {
  const backups = []
  for (const one of await listBackups(config.backupDir)) {
    if (verify) progress(`reading ${one.name}`)
    backups.push({
      name: one.name,
      file: one.file,
      kind: one.kind,
      created_at: one.createdAt,
      schema_version: one.schemaVersion,
      bytes: one.bytes,
      ...(verify && { damage: await damageOf(one.file, signal) }),
    })
  }
  return { folder: config.backupDir, keep: config.backupKeep, every_hours: config.backupHours, backups }
}

/** null: it is whole. */
async function damageOf(file: string, signal: AbortSignal): Promise<string | null> {
  try {
    await readBackup(file, undefined, signal)
    return null
  } catch (error) {
    if (error instanceof BackupError) return error.message
    throw error
  }
}
