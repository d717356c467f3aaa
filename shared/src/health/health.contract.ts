import { z } from 'zod'
import { SystemStats } from '../hosts/host.contract.ts'
import { TeamQuery } from '../ids.ts'
import { defineRoutes } from '../route.ts'

const DatabaseState = z.enum(['connected', 'disconnected', 'unavailable'])

/** Backups of the database that this server makes by itself. A file counts once it was read back completely. */
export const BackupState = z
  .object({
    every_hours: z.number().nullable().describe('null: none are made by this server'),
    last_verified_at: z.iso.datetime().nullable(),
    age_hours: z.number().nullable(),
  })
  .meta({ id: 'BackupState' })
export type BackupState = z.infer<typeof BackupState>

export const healthRoutes = defineRoutes({
  health: {
    method: 'GET',
    path: '/server/health',
    access: 'public',
    summary: 'Can this server serve? 200 also while the database is away (`degraded`); also at /health',
    query: TeamQuery,
    answers: {
      200: z.object({
        success: z.literal(true),
        status: z.enum(['ok', 'degraded']),
        service: z.string(),
        message: z.string(),
        version: z.string(),
        supabase: DatabaseState.describe('the old name of `database`'),
        database: DatabaseState,
        team_id: z.string().nullable(),
        ready: z.boolean(),
        uptime_seconds: z.number(),
        reasons: z.array(z.string()),
      }),
    },
  },
  live: {
    method: 'GET',
    path: '/server/livez',
    access: 'public',
    summary: 'The process answers; also at /livez',
    answers: { 200: z.object({ success: z.literal(true), status: z.literal('ok') }) },
  },
  ready: {
    method: 'GET',
    path: '/server/readyz',
    access: 'public',
    summary: 'Database reachable and migrated, not stopping; 503 with the reason otherwise; also at /readyz',
    answers: { 200: z.object({ success: z.literal(true), status: z.literal('ready') }) },
    failures: [503],
  },
  system: {
    method: 'GET',
    path: '/server/system/health',
    access: 'viewer',
    summary: 'Figures of the machine the server runs on, from a sampler',
    query: TeamQuery,
    answers: {
      200: z.object({
        success: z.literal(true),
        status: z.enum(['healthy', 'degraded']),
        timestamp: z.number(),
        mode: z.literal('server'),
        system_stats: SystemStats,
        reasons: z.array(z.string()).describe('why it is degraded: not ready, or without a fresh backup'),
        backup: BackupState,
      }),
    },
  },
})
