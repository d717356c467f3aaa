import { z } from 'zod'
import { DeviceId, HostName, TeamQuery, Timestamp } from '../ids.ts'
import { HolderKind, Identity, LeaseAsk } from '../leases/lease.contract.ts'
import { defineRoutes } from '../route.ts'
import type { DeviceStatus } from './device.states.ts'
import { DeviceHealth } from './device-health.contract.ts'

export const DeviceStatusName = z.enum([
  'available',
  'leased',
  'offline',
  'maintenance',
  'retired',
]) satisfies z.ZodType<DeviceStatus>

const RunLink = z.object({ id: z.uuid(), name: z.string(), status: z.string(), path: z.string().describe('where to read it') })

/** Who has one device and who waits for it. */
export const DeviceHolder = z
  .object({
    host_name: z.string(),
    device_id: z.string(),
    device_name: z.string().nullable(),
    status: DeviceStatusName,
    status_since: Timestamp.nullable(),
    status_reason: z.string().nullable(),
    status_actor: z.string().nullable(),
    health: DeviceHealth,
    holder: z
      .object({
        lease_id: z.uuid(),
        kind: HolderKind,
        name: z.string(),
        is_you: z.boolean(),
        address: z.string().nullable().describe('for administrators and the holder only'),
        purpose: z.string().nullable(),
        since: Timestamp,
        until: Timestamp.describe('without another sign of life'),
        last_activity_at: Timestamp,
        kept_until: Timestamp.nullable(),
        run: RunLink.nullable().describe('the run that works under this lease'),
      })
      .nullable(),
    asks: z.array(LeaseAsk).describe('open questions to the holder'),
    waiting: z.array(
      z.object({
        position: z.int().min(1),
        kind: z.enum(['user', 'run']),
        name: z.string(),
        priority: z.int(),
        since: Timestamp,
        run_id: z.uuid().nullable(),
      }),
    ),
  })
  .meta({ id: 'DeviceHolder' })
export type DeviceHolder = z.infer<typeof DeviceHolder>

export const DeviceStatusChange = z
  .object({
    id: z.int(),
    from_status: DeviceStatusName.nullable(),
    to_status: DeviceStatusName,
    reason: z.string().nullable(),
    actor: z.string().nullable(),
    at: Timestamp,
  })
  .meta({ id: 'DeviceStatusChange' })
export type DeviceStatusChange = z.infer<typeof DeviceStatusChange>

const success = z.literal(true)
const DeviceParams = z.object({ host_name: HostName, device_id: DeviceId })

export const deviceRoutes = defineRoutes({
  holders: {
    method: 'GET',
    path: '/server/devices/holders',
    access: 'viewer',
    summary: 'For each device: who has it, since when, until when, and who waits',
    query: TeamQuery.extend({ host_name: z.string().optional() }),
    answers: { 200: z.object({ success, devices: z.array(DeviceHolder) }) },
  },
  holder: {
    method: 'GET',
    path: '/server/devices/{host_name}/{device_id}/holder',
    access: 'viewer',
    summary: 'Who has this device, since when, until when, and who waits',
    params: DeviceParams,
    query: TeamQuery,
    answers: { 200: z.object({ success, device: DeviceHolder }) },
    failures: [404],
  },
  ask: {
    method: 'POST',
    path: '/server/devices/{host_name}/{device_id}/ask',
    access: 'tester',
    summary:
      'Ask the holder to give the device back, and wait in the line meanwhile; one open question for each person and device',
    params: DeviceParams,
    query: TeamQuery,
    body: Identity.extend({
      message: z.string().max(500).nullish(),
      priority: z.int().min(0).max(100).default(50),
    }),
    answers: {
      201: z.object({
        success,
        ask: LeaseAsk,
        waiting: z.object({ lease_id: z.uuid(), position: z.int().min(1) }).describe('the place in the line; needs heartbeats'),
      }),
    },
    failures: [400, 404, 409, 429],
  },
  history: {
    method: 'GET',
    path: '/server/devices/{host_name}/{device_id}/history',
    access: 'viewer',
    summary: 'Changes of the status of a device, newest first, each with its reason and who made it',
    params: DeviceParams,
    query: TeamQuery.extend({
      before: z.coerce.number().int().min(1).optional().describe('next_before of the page before'),
      limit: z.coerce.number().int().min(1).max(500).default(100),
    }),
    answers: {
      200: z.object({ success, history: z.array(DeviceStatusChange), next_before: z.int().nullable() }),
    },
    failures: [404],
  },
  setStatus: {
    method: 'PUT',
    path: '/server/devices/{host_name}/{device_id}/status',
    access: 'admin',
    summary: 'Take a device out for maintenance, give it back, or retire it for good',
    params: DeviceParams,
    query: TeamQuery,
    body: z.object({
      status: z.enum(['available', 'maintenance', 'retired']),
      reason: z.string().trim().min(1).max(500),
      force: z.boolean().default(false).describe('end the lease and the run of whoever has the device'),
    }),
    answers: { 200: z.object({ success, device: DeviceHolder }) },
    failures: [400, 404, 409, 423],
  },
})
