import { z } from 'zod'
import { TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'

const success = z.literal(true)

/**
 * Links, pictures and videos of a page are asked for without an Authorization header, so a token is exchanged for a cookie. It
 * counts on the routes that say `byCookie` and nowhere else: they show pictures, videos, files and reports, and change nothing.
 * Where login is off nothing is needed, and `expires_at` is null.
 */
export const signInRoutes = defineRoutes({
  open: {
    method: 'POST',
    path: '/server/auth/session',
    access: 'viewer',
    summary: 'Sign this browser in to pictures, videos, files and reports: sets a cookie that opens nothing else',
    query: TeamQuery,
    answers: { 200: z.object({ success, expires_at: Timestamp.nullable() }) },
    failures: [401, 403, 503],
  },
  close: {
    method: 'DELETE',
    path: '/server/auth/session',
    access: 'public',
    summary: 'Sign this browser out: the session of its cookie ends at once',
    answers: { 200: z.object({ success }) },
  },
})
