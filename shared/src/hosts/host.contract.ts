import { z } from 'zod'
import { DeviceHealthName } from '../devices/device-health.contract.ts'
import { DeviceId, HostName, TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'
import { RunOrder } from '../runs/run-agent.contract.ts'
import { HostScript } from '../scripts/script.contract.ts'

const text = z.string().max(2000)
const optionalText = text.nullish()

/** A device as its host describes it. Unknown fields are kept: hosts add their own. */
export const RegisteredDevice = z
  .looseObject({
    device_id: DeviceId,
    device_name: optionalText,
    device_model: optionalText,
    device_ip: z.union([z.string(), z.number()]).nullish(),
    device_port: z.union([z.string(), z.number()]).nullish(),
    ir_type: optionalText,
    video_stream_path: optionalText,
    video_capture_path: optionalText,
    video: optionalText,
    device_capabilities: z.looseObject({}).nullish(),
    device_action_types: z.looseObject({}).nullish(),
    device_verification_types: z.looseObject({}).nullish(),
    has_running_deployment: z.boolean().nullish(),
  })
  .meta({ id: 'RegisteredDevice' })
export type RegisteredDevice = z.infer<typeof RegisteredDevice>

/** Figures of a host; known names are in the protocol document, others pass through. */
export const SystemStats = z.looseObject({}).meta({ id: 'SystemStats' })

const noUrl = 'must be an http or https URL'
const HttpUrl = z
  // A missing value keeps the usual message, by which missing fields are told from wrong ones.
  .url({ protocol: /^https?$/, error: (issue) => (issue.input === undefined ? undefined : noUrl) })
  .max(2000)
  .regex(/^[^\s\p{C}]+$/u, noUrl)
const devices = z.array(RegisteredDevice).max(64)

/** Registration of a host. Fields after `system_stats` are sent by our own agent only. */
export const RegisterHost = z.object({
  host_name: HostName,
  host_url: HttpUrl,
  host_api_url: HttpUrl.or(z.literal('')).nullish(),
  host_port: z.null().or(z.coerce.number().int().min(0).max(65535)).optional(),
  host_ip: optionalText,
  description: optionalText,
  device_count: z.number().nullish(),
  devices,
  capabilities: z.array(z.string().max(100)).max(100).nullish(),
  system_stats: SystemStats.nullish(),
  agent: text.optional(),
  agent_version: text.optional(),
  protocol: z.int().min(1).max(1000).optional(),
  ping_interval_s: z.number().min(1).max(3600).optional(),
  boot_id: z.string().max(100).optional(),
  call_key: z.string().min(16).max(200).optional().describe('What the server sends as X-API-Key when it calls this host'),
  link_only: z.boolean().optional().describe('The host is called over its link alone; its URL cannot be reached'),
  scripts: z.array(HostScript).max(2000).optional(),
})
export type RegisterHost = z.infer<typeof RegisterHost>

/** A held lease as the agent knows it; every beat renews the ones it names. */
export const BeatLease = z.object({ device_id: DeviceId, token: z.int().min(1), run_id: z.uuid() })

export const PingHost = z.object({
  host_name: HostName,
  timestamp: z.unknown().optional(),
  ping_interval_s: z.number().min(1).max(3600).optional(),
  boot_id: z.string().max(100).optional(),
  device_count: z.number().nullish(),
  system_stats: SystemStats.nullish(),
  per_device_metrics: z.array(z.looseObject({})).max(64).nullish(),
  devices: devices.nullish(),
  leases: z.array(BeatLease).max(64).optional(),
})
export type PingHost = z.infer<typeof PingHost>

/** What the server tells everybody about a host; which fields are there depends on the flags of getAllHosts. */
export const ListedHost = z
  .looseObject({
    host_name: z.string(),
    host_url: z.string(),
    host_port: z.number(),
    status: z.enum(['online', 'offline', 'unreachable']),
    link: z
      .object({ since: Timestamp })
      .nullable()
      .optional()
      .describe('the open link of the host to a server; null without one'),
    device_count: z.number(),
    system_stats: z.looseObject({}),
    isLocked: z.boolean(),
    lockedBy: z.string().nullable(),
    lockedAt: z.number().nullable(),
    devices: z.array(
      z.looseObject({
        device_id: z.string(),
        device_name: z.string().nullable(),
        device_model: z.string().nullable(),
        has_running_deployment: z.boolean(),
        health: DeviceHealthName.optional(),
        isLocked: z.boolean(),
        lockedBy: z.string().nullable(),
        lockedAt: z.number().nullable(),
      }),
    ),
  })
  .meta({ id: 'Host' })

const flagText = z.enum(['true', 'false']).or(z.string()).optional()

export const hostRoutes = defineRoutes({
  register: {
    method: 'POST',
    path: '/server/system/register',
    access: 'host',
    summary: 'A host announces itself and its devices',
    body: RegisterHost,
    answers: {
      200: z.object({ status: z.literal('success'), message: z.string(), host_name: z.string(), host_data: z.looseObject({}) }),
    },
    failures: [400, 401, 403, 409],
  },
  ping: {
    method: 'POST',
    path: '/server/system/ping',
    access: 'host',
    summary: 'A host says that it is alive; our agents renew their leases with it',
    body: PingHost,
    answers: {
      200: z.object({
        status: z.literal('success'),
        message: z.string(),
        server_time: z.number().describe('epoch seconds'),
        lost_leases: z.array(BeatLease.extend({ reason: z.string() })).optional(),
        runs: z.array(RunOrder).optional(),
      }),
    },
    failures: [400, 401, 403, 404, 409],
  },
  unregister: {
    method: 'POST',
    path: '/server/system/unregister',
    access: 'host',
    summary: 'A host stops: it is marked offline, its leases and open runs end',
    body: z.object({ host_name: HostName, timestamp: z.unknown().optional(), boot_id: z.string().max(100).optional() }),
    answers: { 200: z.object({ status: z.literal('success'), message: z.string() }) },
    failures: [400, 401, 403, 404, 409],
  },
  getAllHosts: {
    method: 'GET',
    path: '/server/system/getAllHosts',
    access: 'viewer',
    summary: 'All hosts of the team with their devices, in one of three shapes',
    query: TeamQuery.extend({ include_actions: flagText, include_system_stats: flagText }),
    answers: {
      200: z.object({
        success: z.literal(true),
        server_info: z.looseObject({ server_name: z.string(), server_url: z.string(), server_port: z.string() }),
        hosts: z.array(ListedHost),
      }),
    },
  },
  getDeviceActions: {
    method: 'GET',
    path: '/server/system/getDeviceActions',
    access: 'viewer',
    summary: 'Actions and verifications one device offers',
    query: TeamQuery.extend({ host_name: HostName, device_id: DeviceId }),
    answers: {
      200: z.object({
        success: z.literal(true),
        host_name: z.string(),
        device_id: z.string(),
        device_model: z.string().nullable(),
        device_action_types: z.looseObject({}),
        device_verification_types: z.looseObject({}),
      }),
    },
    failures: [400, 404],
  },
  addHost: {
    method: 'POST',
    path: '/server/hosts',
    access: 'admin',
    summary: 'Make a host known before it registers and issue its own key (shown once)',
    query: TeamQuery,
    body: z.object({ host_name: HostName }),
    answers: { 201: z.object({ success: z.literal(true), host_name: z.string(), key: z.string() }) },
    failures: [400, 409],
  },
})
