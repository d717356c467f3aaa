import type { BackupState } from '@virtualpytest/shared'

/*
 * What the server says about its backups. Backups that fail in silence are the usual way to have none, so a failure and an
 * age beyond the limit are reasons in the health of the system; they do not make the server unready.
 */

export interface BackupHealth {
  noteNewest(createdAt: string | undefined): void
  noteFailure(error: unknown): void
  view(): BackupState
  reasons(): string[]
}

/** A backup takes its time, and may wait for a server that was restarted: two hours more than the period. */
const toleranceHours = 2

export function createBackupHealth(options: { hours: number; now?: () => number }): BackupHealth {
  const { hours, now = Date.now } = options
  const since = now()
  let newest: string | undefined
  let failure: string | undefined
  const hoursSince = (at: number): number => Math.max(0, (now() - at) / 3_600_000)
  return {
    noteNewest(createdAt) {
      if (createdAt !== undefined && (newest === undefined || createdAt > newest)) {
        newest = createdAt
        failure = undefined
      }
    },
    noteFailure(error) {
      failure = error instanceof Error ? error.message : 'unknown'
    },
    view: () => ({
      every_hours: hours === 0 ? null : hours,
      last_verified_at: newest ?? null,
      age_hours: newest === undefined ? null : Math.round(hoursSince(Date.parse(newest)) * 100) / 100,
    }),
    reasons() {
      if (hours === 0) return []
      const found = []
      if (failure !== undefined) found.push(`the last backup failed: ${failure}`)
      const age = hoursSince(newest === undefined ? since : Date.parse(newest))
      if (age > hours + toleranceHours)
        found.push(
          newest === undefined
            ? `there is no backup after ${Math.floor(age)} hours`
            : `the last verified backup is ${Math.floor(age)} hours old`,
        )
      return found
    },
  }
}
