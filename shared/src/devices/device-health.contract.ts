import { z } from 'zod'
import { DeviceId, HostName, TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'
import type { DeviceHealthState } from './device-health.states.ts'

export const DeviceHealthName = z.enum(['unknown', 'good', 'suspect', 'bad']) satisfies z.ZodType<DeviceHealthState>

/** Does a device work? */
export const DeviceHealth = z
  .object({
    state: DeviceHealthName,
    reason: z.string().nullable(),
    since: Timestamp.nullable(),
    checked_at: Timestamp.nullable().describe('end of the last check that came to a verdict'),
  })
  .meta({ id: 'DeviceHealth' })
export type DeviceHealth = z.infer<typeof DeviceHealth>

export const DeviceHealthChange = z
  .object({
    id: z.int(),
    from_health: DeviceHealthName,
    to_health: DeviceHealthName,
    reason: z.string(),
    actor: z.string(),
    run_id: z.uuid().nullable().describe('the check, or the run that met the fault'),
    at: Timestamp,
  })
  .meta({ id: 'DeviceHealthChange' })
export type DeviceHealthChange = z.infer<typeof DeviceHealthChange>

const success = z.literal(true)
const DeviceParams = z.object({ host_name: HostName, device_id: DeviceId })

export const deviceHealthRoutes = defineRoutes({
  check: {
    method: 'POST',
    path: '/server/devices/{host_name}/{device_id}/check',
    access: 'tester',
    summary:
      'Check whether a free device works: does its host answer, does it give a picture, can its power be read. A run of its own',
    params: DeviceParams,
    query: TeamQuery,
    answers: { 202: z.object({ success, run_id: z.uuid(), path: z.string().describe('where to read the run') }) },
    failures: [404, 423, 503],
  },
  read: {
    method: 'GET',
    path: '/server/devices/{host_name}/{device_id}/health',
    access: 'viewer',
    summary: 'The health of a device and its changes, newest first, each with its reason and who made it',
    params: DeviceParams,
    query: TeamQuery.extend({
      before: z.coerce.number().int().min(1).optional().describe('next_before of the page before'),
      limit: z.coerce.number().int().min(1).max(500).default(100),
    }),
    answers: {
      200: z.object({ success, health: DeviceHealth, history: z.array(DeviceHealthChange), next_before: z.int().nullable() }),
    },
    failures: [404],
  },
})
