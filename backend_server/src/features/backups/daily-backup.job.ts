import { sql } from 'kysely'
import { firstRow } from '../../db/query.ts'
import type { Job } from '../../jobs/runner.ts'
import { listBackups } from './backup-folder.ts'
import type { BackupHealth } from './backup-health.ts'
import { type BackupSettings, makeBackup } from './make-backup.ts'

export interface DailyBackupOptions {
  url: string
  settings: BackupSettings
  /** 0: none. */
  hours: number
  health: BackupHealth
  everyMs: number
  afterReadySeconds: number
}

/**
 * A backup when the newest one, of whatever kind, is older than `hours`. The folder is the memory: a server that was away for
 * a day makes one soon after its start. Running twice, or being cut off, costs a file of space and nothing else.
 */
export function dailyBackupJob(options: DailyBackupOptions): Job {
  const { url, settings, hours, health } = options
  return {
    name: 'backups.daily',
    everyMs: options.everyMs,
    leader: true,
    afterReadySeconds: options.afterReadySeconds,
    async run({ db, log, signal }) {
      if (hours === 0) return
      const [newest] = await listBackups(settings.folder)
      health.noteNewest(newest?.createdAt)
      if (newest && Date.now() - Date.parse(newest.createdAt) < hours * 3_600_000) return
      try {
        const row = await firstRow(db, sql<{ version: number }>`select max(version) as version from schema_migrations`)
        const written = await makeBackup(settings, { url, kind: 'daily', schemaVersion: row?.version ?? 0, log, signal })
        health.noteNewest(written.head.created_at)
      } catch (error) {
        if (!signal.aborted) health.noteFailure(error)
        throw error
      }
    },
  }
}
