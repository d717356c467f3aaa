import type { Config } from '../config.ts'
import { BackupError, readBackup } from '../db/backup/index.ts'
import { createBackupHealth, listBackups } from '../features/backups/index.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

/** The newest backup, read to its end: one that cannot be restored is none. */
export async function examineBackups(config: Config): Promise<Finding[]> {
  const [newest] = await listBackups(config.backupDir)
  if (!newest) {
    return config.backupHours === 0
      ? [ok('backup', 'none made by this server; the provider of the database is asked to')]
      : [warn('backup', `none in ${config.backupDir}`, 'The server makes one within minutes of its start; or now: vpt backup')]
  }
  try {
    await readBackup(newest.file)
  } catch (error) {
    if (!(error instanceof BackupError)) throw error
    return [
      fail(
        'backup',
        `${newest.name}: ${error.message}`,
        'Check the disk, then make a new one: vpt backup. The others: vpt backups --verify',
      ),
    ]
  }
  const health = createBackupHealth({ hours: config.backupHours })
  health.noteNewest(newest.createdAt)
  const age = health.view().age_hours ?? 0
  const text = `${newest.name}, ${age < 1 ? `${Math.round(age * 60)} minutes` : `${age.toFixed(1)} hours`} old, read back completely`
  const reasons = health.reasons()
  return [
    reasons.length === 0
      ? ok('backup', text)
      : warn('backup', text, 'Look for "backup" in the log of the server; make one now: vpt backup'),
  ]
}
