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
  linked_at: string | null
}

interface DeviceRecord {
  host_id: string
  device_key: string
  name: string | null
  model: string | null
  status: string
  health: string
  registration: Record<string, unknown>
  locked_by: string | null
  locked_at: number | null
}

/** What a listed device has in any case, with the value shown for what its host does not send; clients walk through objects. */
const shortFields = { device_capabilities: {}, video_stream_path: null }
const statsFields = {
  ...shortFields,
  device_ip: null,
  device_port: null,
  video_capture_path: null,
  video_fps: null,
  ir_type: null,
}
const allFields = { ...statsFields, video: null, device_action_types: {}, device_verification_types: {} }
/** Written by us or shown under a name of its own; everything else a host sends about a device passes through. */
const ownFields = new Set([
  'device_id',
  'device_name',
  'device_model',
  'has_running_deployment',
  'status',
  'health',
  'isLocked',
  'lockedBy',
  'lockedAt',
])

/** Hosts of a team with their devices, as getAllHosts shows them. Offline hosts stay listed, retired ones do not. */
export async function listHosts(
  db: Queryable,
  teamId: string,
  flags: ListingFlags,
  hostName?: string,
): Promise<Record<string, unknown>[]> {
  const hosts = await rowsOf(
    db,
    sql<HostRecord>`
      select id, name, description, url, api_url, port, status, reachable, system_stats, device_metrics,
             registered_at, reconnected_at, last_seen_at,
             (select opened_at from host_links l where l.host_id = hosts.id and l.expires_at > now()) as linked_at
        from hosts
       where team_id = ${teamId} and status <> 'retired' and registered_at is not null
         and (${hostName ?? null}::text is null or name = ${hostName ?? null})
       order by registered_at, name`,
  )
  const registration = flags.includeActions
    ? sql`d.registration`
    : sql`d.registration - 'device_action_types' - 'device_verification_types'`
  const devices = await rowsOf(
    db,
    sql<DeviceRecord>`
      select d.host_id, d.device_key, d.name, d.model, d.status, d.health, ${registration} as registration,
             -- never the id of a token, and the same for everybody: this listing is kept for all callers of a team
             case when l.holder_kind = 'user' then coalesce(l.holder_name, l.holder_id) else l.holder_id end as locked_by,
             extract(epoch from l.granted_at)::float8 as locked_at
        from devices d left join leases l on l.device_id = d.id and l.status = 'held'
       where d.team_id = ${teamId} and d.present and d.status <> 'retired'
         and (${hostName ?? null}::text is null or d.host_id = any(${hosts.map((host) => host.id)}::uuid[]))
       order by d.position, d.device_key`,
  )
  const byHost = Map.groupBy(devices, (device) => device.host_id)
  return hosts.map((host) => showHost(host, byHost.get(host.id) ?? [], flags))
}

/** The record of one host as a registration is answered. */
export async function readHostData(db: Queryable, teamId: string, name: string): Promise<Record<string, unknown> | undefined> {
  const [host] = await listHosts(db, teamId, { includeActions: true, includeSystemStats: true }, name)
  if (!host) return undefined
  // The host itself may see where it is called; the listings keep it from everybody else.
  const address = await firstRow(db, sql<{ api_url: string | null }>`select api_url from hosts where name = ${name}`)
  return { ...host, host_api_url: address?.api_url ?? host.host_url }
}

function showHost(host: HostRecord, devices: readonly DeviceRecord[], flags: ListingFlags): Record<string, unknown> {
  // As with checkLock and lockedDevices: a host is locked when somebody has one of its devices, since the longest.
  const [held] = devices
    .filter((device) => device.locked_by !== null)
    .toSorted((one, other) => (one.locked_at ?? 0) - (other.locked_at ?? 0))
  const stats = withServiceStates(host)
  const full = flags.includeActions || flags.includeSystemStats
  return {
    host_name: host.name,
    host_url: host.url ?? '',
    host_port: host.port ?? 6109,
    status: host.status === 'offline' ? 'offline' : host.reachable ? 'online' : 'unreachable',
    link: host.linked_at === null ? null : { since: host.linked_at },
    device_count: devices.length,
    system_stats: full
      ? stats
      : pick(stats, ['ffmpeg_status', 'monitor_status'], (value) => ({ status: (value as { status?: unknown }).status })),
    isLocked: held !== undefined,
    lockedBy: held?.locked_by ?? null,
    lockedAt: held?.locked_at ?? null,
    devices: devices.map((device) => showDevice(device, flags)),
    ...(full && { last_seen: Date.parse(host.last_seen_at) / 1000, registered_at: host.registered_at }),
    ...(flags.includeActions && {
      description: host.description,
      ...(host.reconnected_at !== null && { reconnected_at: host.reconnected_at }),
    }),
  }
}

function showDevice(device: DeviceRecord, flags: ListingFlags): Record<string, unknown> {
  const known: Record<string, unknown> = flags.includeActions ? allFields : flags.includeSystemStats ? statsFields : shortFields
  const extra = flags.includeActions ? Object.keys(device.registration).filter((name) => !ownFields.has(name)) : []
  const shown: Record<string, unknown> = {
    device_id: device.device_key,
    device_name: device.name,
    device_model: device.model,
    has_running_deployment: device.registration.has_running_deployment === true,
    status: device.status,
    health: device.health,
    isLocked: device.locked_by !== null,
    lockedBy: device.locked_by,
    lockedAt: device.locked_at,
  }
  for (const name of new Set([...Object.keys(known), ...extra])) {
    const value = device.registration[name] ?? known[name] ?? null
    shown[name] = name === 'video_stream_path' ? withoutPassword(value) : value
  }
  return shown
}

/** The VNC password travels inside the stream path; listings are no place for it. */
export const withoutPassword = (path: unknown): unknown =>
  typeof path === 'string' ? path.replace(/([?&])(?:password=[^&#]*(?:&|(?=#)|$))+/gi, '$1').replace(/[?&](?=#|$)/, '') : path

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
             coalesce(nullif(d.registration -> 'device_action_types', 'null'), '{}') as device_action_types,
             coalesce(nullif(d.registration -> 'device_verification_types', 'null'), '{}') as device_verification_types
        from devices d join hosts h on h.id = d.host_id
       where h.name = ${device.hostName} and d.device_key = ${device.deviceKey} and d.team_id = ${device.teamId}
         and d.present and h.status <> 'retired'`,
  )
}
