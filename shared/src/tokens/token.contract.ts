import { z } from 'zod'
import { TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'

/** viewer reads; tester also drives devices and starts runs; admin also manages hosts, tokens and teams. */
export const Role = z.enum(['viewer', 'tester', 'admin'])
export type Role = z.infer<typeof Role>

export const roleRank: Record<Role, number> = { viewer: 1, tester: 2, admin: 3 }

export const ApiToken = z
  .object({
    id: z.uuid(),
    team_id: z.uuid(),
    name: z.string(),
    role: Role,
    created_at: Timestamp,
    expires_at: Timestamp,
    last_used_at: Timestamp.nullable(),
    revoked_at: Timestamp.nullable(),
  })
  .meta({ id: 'ApiToken' })
export type ApiToken = z.infer<typeof ApiToken>

const success = z.literal(true)

export const tokenRoutes = defineRoutes({
  list: {
    method: 'GET',
    path: '/server/tokens',
    access: 'admin',
    summary: 'API tokens of the team, without their secret',
    query: TeamQuery,
    answers: { 200: z.object({ success, tokens: z.array(ApiToken) }) },
  },
  create: {
    method: 'POST',
    path: '/server/tokens',
    access: 'admin',
    summary: 'Create an API token; the secret is shown in this answer only',
    query: TeamQuery,
    body: z.object({
      name: z.string().trim().min(1).max(200),
      role: Role.default('tester'),
      expires_in_days: z.int().min(1).max(3650).default(365),
    }),
    answers: { 201: z.object({ success, token: z.string(), details: ApiToken }) },
    failures: [400],
  },
  revoke: {
    method: 'DELETE',
    path: '/server/tokens/{token_id}',
    access: 'admin',
    summary: 'Revoke an API token at once',
    params: z.object({ token_id: z.uuid() }),
    query: TeamQuery,
    answers: { 200: z.object({ success, details: ApiToken }) },
    failures: [404],
  },
})
