import { setTimeout as pause } from 'node:timers/promises'
import { DatabaseUnavailable } from './errors.ts'
import type { Log } from './log.ts'
import { migrate } from './migrate.ts'
import type { MigrationFile } from './migration-files.ts'
import { inspectServer } from './pooler.ts'
import { hintFor, reasonOf } from './unreachable.ts'

const longestPauseMs = 3000

/**
 * Waits for the database, inspects and migrates it. The server listens meanwhile and says what it waits for. Throws only what
 * waiting cannot cure: a database too old, or a schema this server does not fit.
 */
export async function bringUpDatabase(options: {
  url: string
  log: Log
  signal: AbortSignal
  onState: (text: string) => void
  /** Called on one server before pending migrations are applied to a database that is in use; when it throws, none is. */
  beforeMigration?: (pending: readonly MigrationFile[], onState: (text: string) => void) => Promise<void>
  migrationsFolder?: string
}): Promise<void> {
  const { url, log, signal, onState, beforeMigration, migrationsFolder } = options
  const showProgress = (done: number, total: number, name: string): void =>
    onState(`migrating the database: ${done} of ${total}${name ? ` (${name})` : ''}, ${Math.floor((100 * done) / total)} %`)
  const prepare = async (pending: readonly MigrationFile[]): Promise<void> => {
    await beforeMigration?.(pending, onState)
  }
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      onState('waiting for the database')
      const report = await inspectServer(url)
      for (const limit of report.limits) log.warn({ mode: report.mode }, limit)
      log.info({ mode: report.mode, version: report.serverVersion }, 'database reached')
      onState('checking the database schema')
      const result = await migrate({
        url,
        log,
        signal,
        ...(migrationsFolder !== undefined && { folder: migrationsFolder }),
        beforeFirst: prepare,
        onProgress: showProgress,
        onWait: (waitingFor) => onState(`migrating the database: waiting for ${waitingFor}`),
      })
      log.info({ version: result.version, applied: result.applied.length }, 'database schema is current')
      return
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof DatabaseUnavailable)) throw error
      const pauseMs = Math.min(longestPauseMs, 250 * 2 ** attempt)
      if (attempt === 0 || pauseMs === longestPauseMs)
        log.warn(
          { reason: reasonOf(error.cause ?? error), cure: hintFor(url, error.cause) },
          'the database cannot be reached yet; trying on',
        )
      await pause(pauseMs, undefined, { signal }).catch(() => undefined)
    }
  }
}
