import { z } from 'zod'
import { DeviceId, HostName, TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'

/** The free labels people put on one device. */
export const DeviceFlags = z
  .object({
    id: z.uuid(),
    host_name: z.string(),
    device_id: z.string(),
    device_name: z.string().nullable(),
    flags: z.array(z.string()),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .meta({ id: 'DeviceFlags' })

const success = z.literal(true)

export const deviceFlagRoutes = defineRoutes({
  list: {
    method: 'GET',
    path: '/server/device-flags',
    access: 'viewer',
    summary: 'Flags of every device',
    query: TeamQuery,
    answers: { 200: z.object({ success, data: z.array(DeviceFlags) }) },
  },
  batch: {
    method: 'GET',
    path: '/server/device-flags/batch',
    access: 'viewer',
    summary: 'Flags of every device and the sorted list of flags in use',
    query: TeamQuery,
    answers: {
      200: z.object({
        success,
        data: z.object({ device_flags: z.array(DeviceFlags), unique_flags: z.array(z.string()) }),
      }),
    },
  },
  names: {
    method: 'GET',
    path: '/server/device-flags/flags',
    access: 'viewer',
    summary: 'The sorted list of flags in use',
    query: TeamQuery,
    answers: { 200: z.object({ success, data: z.array(z.string()) }) },
  },
  replace: {
    method: 'PUT',
    path: '/server/device-flags/{host_name}/{device_id}',
    access: 'tester',
    summary: 'Replace the flags of one device',
    params: z.object({ host_name: HostName, device_id: DeviceId }),
    query: TeamQuery,
    body: z.object({ flags: z.array(z.string().trim().min(1).max(100)).max(100) }),
    answers: { 200: z.object({ success, data: DeviceFlags }) },
    failures: [400, 404],
  },
})
