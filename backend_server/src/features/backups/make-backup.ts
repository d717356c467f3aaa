import path from 'node:path'
import { type BackupKind, type WrittenBackup, writeBackup } from '../../db/backup/index.ts'
import type { Log } from '../../db/database.ts'
import { backupName, removeOldBackups } from './backup-folder.ts'

export interface BackupSettings {
  folder: string
  /** How many of each kind stay. */
  keep: number
  /** Version of the product. */
  product: string
}

export interface MakeBackupInput {
  url: string
  kind: BackupKind
  schemaVersion: number
  log: Log
  spaceFactor?: number
  onProgress?: (table: string, index: number, total: number) => void
  signal?: AbortSignal
}

/** A verified backup in the folder, then those that are too many go: never the other way round. */
export async function makeBackup(settings: BackupSettings, input: MakeBackupInput): Promise<WrittenBackup> {
  const { kind, schemaVersion, log, ...rest } = input
  const file = path.join(settings.folder, backupName(new Date(), schemaVersion, kind))
  const written = await writeBackup({ ...rest, file, kind, product: settings.product })
  const removed = await removeOldBackups(settings.folder, settings.keep)
  log.info(
    { file, bytes: written.bytes, rows: written.rows, ms: written.writeMs + written.verifyMs, removed: removed.length },
    'backup made and verified',
  )
  return written
}
