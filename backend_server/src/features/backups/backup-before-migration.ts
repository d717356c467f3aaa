import { BackupError } from '../../db/backup/index.ts'
import { DatabaseUnavailable, type Log } from '../../db/database.ts'
import { isDatabaseInUse } from '../../db/in-use.ts'
import type { MigrationFile } from '../../db/migration-files.ts'
import { type BackupSettings, makeBackup } from './make-backup.ts'

/** `required`: a backup that fails stops the migration. `try`: it is reported. `off`: none is made. */
export type BackupBeforeMigration = 'required' | 'try' | 'off'

/** The disk must take the backup and what the migration may write again: the database twice. */
const spaceFactor = 2

/** For bringUpDatabase: called under the migration lock before anything is applied. */
export function backupBeforeMigration(options: {
  url: string
  settings: BackupSettings
  mode: BackupBeforeMigration
  log: Log
  signal: AbortSignal
}) {
  const { url, settings, mode, log, signal } = options
  return async (pending: readonly MigrationFile[], onState: (text: string) => void): Promise<void> => {
    const first = pending[0]
    if (mode === 'off' || !first || pending.every(isTrivial) || !(await isDatabaseInUse(url))) return
    onState('backing up the database before it is migrated')
    try {
      await makeBackup(settings, {
        url,
        kind: 'migration',
        schemaVersion: first.version - 1,
        log,
        spaceFactor,
        signal,
        onProgress: (table, index, total) =>
          onState(`backing up the database before it is migrated: table ${index + 1} of ${total} (${table})`),
      })
    } catch (error) {
      // Waiting cures this one; the start tries again.
      if (error instanceof DatabaseUnavailable || signal.aborted) throw error
      const reason = error instanceof Error ? error.message : 'unknown'
      if (mode === 'try') {
        log.error({ err: error }, 'the backup before the migration failed; migrating without one')
        return
      }
      throw new BackupError(
        'unusable',
        `The database was not migrated to version ${pending.at(-1)?.version}, because the backup before it failed: ${reason} Nothing was changed. ` +
          'Make it possible and start again, or set BACKUP_BEFORE_MIGRATION=try after making a backup of your own.',
        error,
      )
    }
  }
}

const changing = /\b(alter|drop|update|delete|truncate|insert|execute|call|do|rename|grant|revoke)\b/i

/** True when a file only creates things: nothing that is there can get lost. In doubt it is false. */
export function isTrivial(file: MigrationFile): boolean {
  if (file.breaking) return false
  const text = file.text
    .replace(/--.*$/gm, '')
    .replace(/'(?:[^']|'')*'/g, "''")
    .replace(/\bon (delete|update) (cascade|restrict|no action|set null|set default)/gi, '')
  return !changing.test(text)
}
