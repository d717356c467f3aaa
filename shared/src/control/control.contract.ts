import { z } from 'zod'
import { DeviceId, HostName, TeamQuery } from '../ids.ts'
import { Identity, Lease } from '../leases/lease.contract.ts'
import { defineRoutes } from '../route.ts'

const success = z.literal(true)
const target = { host_name: HostName, device_id: DeviceId.nullish().describe('absent: all devices of the host') }

/** One lock as the web app shows it; times are epoch seconds. */
export const LockInfo = z
  .object({
    isLocked: z.literal(true),
    lockedBy: z.string().describe('name of the token, user or session id, or the id of the run'),
    lockedByName: z.string().describe('the holder as people read it'),
    lockedAt: z.number(),
    lockedDuration: z.number(),
    lockedIp: z.string().nullable(),
  })
  .meta({ id: 'LockInfo' })

export const controlRoutes = defineRoutes({
  takeControl: {
    method: 'POST',
    path: '/server/control/takeControl',
    access: 'tester',
    summary: 'Take a device (or all devices of a host) for the caller, or renew what the caller holds',
    query: TeamQuery,
    body: z.object({
      ...target,
      ...Identity.shape,
      purpose: z.string().max(200).nullish(),
      tree_id: z.string().nullish(),
      userinterface_id: z.string().nullish(),
      wait: z.boolean().default(false).describe('wait in the line when somebody else has the device: 202 with the place'),
      priority: z.int().min(0).max(100).default(50).describe('place in the line; runs and people wait in one'),
    }),
    answers: {
      200: z.object({
        success,
        message: z.string(),
        session_id: z.string(),
        host_name: z.string(),
        device_id: z.string().nullable(),
        host_result: z.looseObject({}),
        cache_ready: z.boolean(),
        warning: z.string().nullable(),
        leases: z.array(z.object({ lease_id: z.uuid(), device_id: z.string(), token: z.int(), expires_at: z.string() })),
      }),
      202: z.object({
        success,
        waiting: z.literal(true),
        message: z.string(),
        host_name: z.string(),
        device_id: z.string(),
        position: z.int().min(1),
        lease: Lease.describe('the place in the line: heartbeats keep it and tell when it is held'),
      }),
    },
    failures: [400, 404, 423, 502, 503, 504],
  },
  releaseControl: {
    method: 'POST',
    path: '/server/control/releaseControl',
    access: 'tester',
    summary: 'Give devices back; answers at once and tells the host in the background',
    query: TeamQuery,
    body: z.object({
      ...target,
      ...Identity.shape,
      token: z.int().min(1).optional().describe('token of the lease to give back; 409 stale_token when it has ended'),
    }),
    answers: {
      200: z.object({
        success: z.boolean(),
        message: z.string(),
        host_notification: z.enum(['in_progress', 'host_not_found']),
        error: z.string().optional(),
      }),
    },
    failures: [400, 409],
  },
  lockedDevices: {
    method: 'GET',
    path: '/server/control/lockedDevices',
    access: 'viewer',
    summary: 'Held devices under the keys "host:device" and "host"',
    query: TeamQuery,
    answers: {
      200: z.object({
        success,
        locked_devices: z.record(
          z.string(),
          z.object({
            lockedBy: z.string(),
            lockedByName: z.string(),
            lockedAt: z.number(),
            lockedDuration: z.number(),
            lockedIp: z.string().nullable(),
            hostName: z.string(),
            deviceId: z.string(),
          }),
        ),
      }),
    },
  },
  checkLock: {
    method: 'POST',
    path: '/server/control/checkLock',
    access: 'viewer',
    summary: 'Is this device held, and by whom?',
    query: TeamQuery,
    body: z.object(target),
    answers: { 200: z.object({ success, is_locked: z.boolean(), lock_info: LockInfo.nullable() }) },
    failures: [400],
  },
  forceUnlock: {
    method: 'POST',
    path: '/server/control/forceUnlock',
    access: 'tester',
    summary: 'End the leases of a device or of a whole host, whoever holds them; runs that held them are cancelled',
    query: TeamQuery,
    body: z.object({ ...target, reason: z.string().max(500).nullish() }),
    answers: { 200: z.object({ success, message: z.string() }) },
    failures: [400, 404],
  },
})
