import { z } from 'zod'
import { TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'

const success = z.literal(true)

/**
 * A browser opens pages without an Authorization header, so a token is exchanged for a cookie that counts below /grafana only.
 * Where login is off nothing is needed, and `expires_at` is null.
 */
export const dashboardRoutes = defineRoutes({
  openSession: {
    method: 'POST',
    path: '/server/grafana-session',
    access: 'viewer',
    summary: 'Sign this browser in to the dashboards: sets a cookie for /grafana',
    query: TeamQuery,
    answers: { 200: z.object({ success, url: z.string(), expires_at: Timestamp.nullable() }) },
    failures: [401, 403, 503],
  },
  closeSession: {
    method: 'DELETE',
    path: '/server/grafana-session',
    access: 'public',
    summary: 'Sign this browser out of the dashboards',
    answers: { 200: z.object({ success }) },
  },
})
