import { z } from 'zod'
import { TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'

export const HolderKind = z.enum(['user', 'run', 'campaign', 'health_check', 'maintenance'])
export type HolderKind = z.infer<typeof HolderKind>

/** The right of one holder to use one device until `expires_at`. `token` proves it on every later write and only grows. */
export const Lease = z
  .object({
    id: z.uuid(),
    host_name: z.string(),
    device_id: z.string(),
    holder_kind: HolderKind,
    holder: z.string().describe('user or session id, or the id of the run'),
    purpose: z.string().nullable(),
    token: z.int().min(1).nullable(),
    status: z.enum(['waiting', 'held', 'released', 'expired', 'revoked']),
    granted_at: Timestamp.nullable(),
    last_activity_at: Timestamp.nullable(),
    expires_at: Timestamp.nullable(),
    ended_at: Timestamp.nullable(),
    end_reason: z.string().nullable(),
  })
  .meta({ id: 'Lease' })
export type Lease = z.infer<typeof Lease>

export const leaseRoutes = defineRoutes({
  list: {
    method: 'GET',
    path: '/server/leases',
    access: 'viewer',
    summary: 'Who holds which device, since when and until when; also ended leases on request',
    query: TeamQuery.extend({
      status: z.enum(['held', 'all']).default('held'),
      host_name: z.string().optional(),
      device_id: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(500).default(100),
    }),
    answers: { 200: z.object({ success: z.literal(true), leases: z.array(Lease) }) },
  },
})
