import { randomUUID } from 'node:crypto'
import { defaultTeamId } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Queryable } from '../../src/db/database.ts'

export interface RunSeed {
  id?: string
  teamId?: string
  kind?: string
  name?: string
  status?: string
  parameters?: string
  host?: string
  device?: string
  finishedAt?: Date | null
  seconds?: number | null
  discarded?: boolean
  retryOf?: string
  error?: string
  reportUrl?: string
}

/** One row of `runs`, as an ended run leaves it. Returns its id. */
export async function addRun(db: Queryable, seed: RunSeed = {}): Promise<string> {
  const id = seed.id ?? randomUUID()
  const status = seed.status ?? 'passed'
  const isFinal = /^(passed|failed|error|cancelled)$/.test(status)
  const finishedAt = isFinal ? (seed.finishedAt ?? new Date(Date.now() - 3_600_000)) : null
  const seconds = seed.seconds === undefined ? 60 : seed.seconds
  const startedAt = finishedAt && seconds !== null ? new Date(finishedAt.getTime() - seconds * 1000) : null
  await sql`
    insert into runs (id, team_id, kind, name, parameters, host_name, device_key, device_name, status, source, queued_at, started_at,
                      finished_at, deadline_at, timeout_seconds, discarded, retry_of, error_message, report_url)
    values (${id}, ${seed.teamId ?? defaultTeamId}, ${seed.kind ?? 'script'}, ${seed.name ?? 'smoke.py'}, ${seed.parameters ?? ''},
            ${seed.host ?? 'lab-1'}, 'device1', ${seed.device ?? 'Box 1'}, ${status}, 'api',
            coalesce(${startedAt?.toISOString() ?? null}::timestamptz, now()), ${startedAt?.toISOString() ?? null},
            ${finishedAt?.toISOString() ?? null}, now() + interval '1 hour', 3600, ${seed.discarded ?? false},
            ${seed.retryOf ?? null}, ${seed.error ?? null}, ${seed.reportUrl ?? null})`.execute(db.kysely)
  return id
}
