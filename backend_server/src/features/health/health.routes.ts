import { type BackupState, healthRoutes, LabError, parseTeamId } from '@virtualpytest/shared'
import type { Mount } from '../../http/mount.ts'
import { isReady, type Readiness, reasonsNotReady } from './readiness.ts'

export interface HealthRouteOptions {
  readiness: Readiness
  version: string
  systemStats: () => Record<string, unknown>
  /** Programs beside the server that do not run. They make it degraded, and ready all the same. */
  optionalProblems: () => string[]
  backups: { view: () => BackupState; reasons: () => string[] }
}

/** Answered from memory: a health check must never wait for the thing whose health is in question. */
export function mountHealthRoutes(
  mount: Mount,
  { readiness, version, systemStats, optionalProblems, backups }: HealthRouteOptions,
): void {
  mount(healthRoutes.health, ({ query }) => {
    const reasons = [...reasonsNotReady(readiness), ...optionalProblems()]
    const status = reasons.length === 0 ? 'ok' : 'degraded'
    return {
      success: true,
      status,
      service: 'virtualpytest-server',
      message: reasons.length === 0 ? 'The server is running' : reasons.join('; '),
      version,
      supabase: readiness.database,
      database: readiness.database,
      team_id: parseTeamId(query.team_id) ?? null,
      ready: isReady(readiness),
      uptime_seconds: Math.round(process.uptime()),
      reasons,
    }
  })

  mount(healthRoutes.live, () => ({ success: true, status: 'ok' }))

  mount(healthRoutes.ready, () => {
    const reasons = reasonsNotReady(readiness)
    if (reasons.length > 0) throw new LabError(readiness.draining ? 'draining' : 'not_ready', { text: reasons.join('; ') })
    return { success: true, status: 'ready' }
  })

  mount(healthRoutes.system, () => ({
    success: true,
    status: isReady(readiness) && backups.reasons().length === 0 ? 'healthy' : 'degraded',
    reasons: reasonsNotReady(readiness).concat(backups.reasons()),
    backup: backups.view(),
    timestamp: Date.now() / 1000,
    mode: 'server',
    system_stats: systemStats(),
  }))
}
