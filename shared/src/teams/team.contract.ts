import { z } from 'zod'
import { Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'

export const Team = z
  .object({
    id: z.uuid(),
    name: z.string(),
    description: z.string().nullable(),
    tenant_id: z.string().nullable(),
    created_by: z.string().nullable(),
    is_default: z.boolean(),
    member_count: z.int(),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .meta({ id: 'Team' })
export type Team = z.infer<typeof Team>

export const teamRoutes = defineRoutes({
  list: {
    method: 'GET',
    path: '/server/teams',
    access: 'viewer',
    summary: 'Teams the caller may see, oldest first, as a bare array',
    answers: { 200: z.array(Team) },
  },
  create: {
    method: 'POST',
    path: '/server/teams',
    access: 'admin',
    summary: 'Create a team; only where login is off or with a token of the default team',
    body: z.object({ name: z.string().trim().min(1).max(200), description: z.string().max(2000).nullish() }),
    answers: {
      201: Team.extend({
        admin_token: z.string().nullable().describe('first admin token of the team, shown once; null where login is off'),
      }),
    },
    failures: [400, 403, 409],
  },
})
