import { sql } from 'kysely'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'

/** The three shapes of getAllHosts: short, with figures, with everything a device offers. */
export interface ListingFlags {
  includeActions: boolean
  includeSystemStats: boolean
}

interface HostRecord {
  id: string
  name: string
  description: string | null
  url: string | null
  api_url: string | null
  port: number | null
  status: string
  reachable: boolean
  system_stats: Record<string, unknown>
  device_metrics: Record<string, unknown>[]
  registered_at: string
  reconnected_at: string | null
  last_seen_at: string
}

interface DeviceRecord {
  host_id: string
  device_key: string
  name: string | null
  model: string | null
  status: string
  registration: Record<string, unknown>
  locked_by: string | null
  locked_at: number | null
}

const shortFields = ['device_capabilities', 'video_stream_path']
const statsFields = [...shortFields, 'device_ip', 'device_port', 'video_capture_path', 'video_fps', 'ir_type']
/** Written by us or shown under a name of its own; everything else a host sends about a device passes through. */
const ownFields = new Set([
  'device_id',
  'device_name',
  'device_model',
  'has_running_deployment',
  'isLocked',
  'lockedBy',
  'lockedAt',
])

/** Hosts of a team with their devices, as getAllHosts shows them. Offline hosts stay listed, retired ones do not. */
export async function listHosts(db: Queryable, teamId: string, flags: ListingFlags): Promise<Record<string, unknown>[]> {
  const hosts = await rowsOf(
    db,
    sql<HostRecord>`
      select id, name, description, url, api_url, port, status, reachable, system_stats, device_metrics,
             registered_at, reconnected_at, last_seen_at
        from hosts where team_id = ${teamId} and status <> 'retired' and registered_at is not null
       order by registered_at, name`,
  )
  const registration = flags.includeActions
    ? sql`d.registration`
    : sql`d.registration - 'device_action_types' - 'device_verification_types'`
  const devices = await rowsOf(
    db,
    sql<DeviceRecord>`
      select d.host_id, d.device_key, d.name, d.model, d.status, ${registration} as registration,
             l.holder_id as locked_by, extract(epoch from l.granted_at)::float8 as locked_at
        from devices d left join leases l on l.device_id = d.id and l.status = 'held'
       where d.team_id = ${teamId} and d.present
       order by d.position, d.device_key`,
  )
  const byHost = Map.groupBy(devices, (device) => device.host_id)
  return hosts.map((host) => showHost(host, byHost.get(host.id) ?? [], flags))
}

/** The record of one host as a registration is answered. */
export async function readHostData(db: Queryable, teamId: string, name: string): Promise<Record<string, unknown> | undefined> {
  const all = await listHosts(db, teamId, { includeActions: true, includeSystemStats: true })
  return all.find((host) => host.host_name === name)
}

function showHost(host: HostRecord, devices: readonly DeviceRecord[], flags: ListingFlags): Record<string, unknown> {
  const held = devices.find((device) => device.locked_by !== null)
  const allHeld = devices.length > 0 && devices.every((device) => device.locked_by !== null)
  const stats = withServiceStates(host)
  const full = flags.includeActions || flags.includeSystemStats
  return {
    host_name: host.name,
    host_url: host.url ?? '',
    host_port: host.port ?? 6109,
    status: host.status === 'offline' ? 'offline' : host.reachable ? 'online' : 'unreachable',
    device_count: devices.length,
    system_stats: full
      ? stats
      : pick(stats, ['ffmpeg_status', 'monitor_status'], (value) => ({ status: (value as { status?: unknown }).status })),
    isLocked: allHeld,
    lockedBy: allHeld ? (held?.locked_by ?? null) : null,
    lockedAt: allHeld ? (held?.locked_at ?? null) : null,
    devices: devices.map((device) => showDevice(device, flags)),
    ...(full && { last_seen: Date.parse(host.last_seen_at) / 1000, registered_at: host.registered_at }),
    ...(flags.includeActions && {
      description: host.description,
      ...(host.reconnected_at !== null && { reconnected_at: host.reconnected_at }),
    }),
  }
}

function showDevice(device: DeviceRecord, flags: ListingFlags): Record<string, unknown> {
  const fields = flags.includeActions
    ? Object.keys(device.registration).filter((name) => !ownFields.has(name))
    : flags.includeSystemStats
      ? statsFields
      : shortFields
  const shown: Record<string, unknown> = {
    device_id: device.device_key,
    device_name: device.name,
    device_model: device.model,
    has_running_deployment: device.registration.has_running_deployment === true,
    status: device.status,
    isLocked: device.locked_by !== null,
    lockedBy: device.locked_by,
    lockedAt: device.locked_at,
  }
  for (const name of fields) {
    const value = device.registration[name]
    if (value !== undefined) shown[name] = name === 'video_stream_path' ? withoutPassword(value) : value
    else if (!flags.includeActions) shown[name] = null
  }
  return shown
}

/** The VNC password travels inside the stream path; listings are no place for it. */
export const withoutPassword = (path: unknown): unknown =>
  typeof path === 'string' ? path.replace(/([?&])password=[^&#]*&?/gi, '$1').replace(/[?&]$/, '') : path

/** Registrations carry the states of the capture services, pings carry them per device only. */
function withServiceStates(host: HostRecord): Record<string, unknown> {
  const stats = { ...host.system_stats }
  for (const service of ['ffmpeg', 'monitor']) {
    const states = host.device_metrics.map((metric) => metric[`${service}_status`]).filter((state) => typeof state === 'string')
    if (states.length === 0) continue
    const worst = ['error', 'stopped', 'stuck', 'unknown', 'active'].find((word) => states.includes(word)) ?? states[0]
    const known = stats[`${service}_status`]
    stats[`${service}_status`] = { ...(typeof known === 'object' ? known : {}), status: worst }
  }
  return stats
}

function pick(
  from: Record<string, unknown>,
  names: readonly string[],
  show: (value: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(
    names.flatMap((name) => (typeof from[name] === 'object' && from[name] ? [[name, show(from[name])]] : [])),
  )
}

export interface DeviceActions {
  device_model: string | null
  device_action_types: Record<string, unknown>
  device_verification_types: Record<string, unknown>
}

export function readDeviceActions(
  db: Queryable,
  device: { teamId: string; hostName: string; deviceKey: string },
): Promise<DeviceActions | undefined> {
  return firstRow(
    db,
    sql<DeviceActions>`
      select d.model as device_model,
             coalesce(d.registration -> 'device_action_types', '{}') as device_action_types,
             coalesce(d.registration -> 'device_verification_types', '{}') as device_verification_types
        from devices d join hosts h on h.id = d.host_id
       where h.name = ${device.hostName} and d.device_key = ${device.deviceKey} and d.team_id = ${device.teamId}
         and d.present and h.status <> 'retired'`,
  )
}
