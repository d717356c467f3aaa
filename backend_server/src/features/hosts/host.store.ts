import { randomBytes, randomUUID } from 'node:crypto'
import { LabError, type RegisteredDevice, type RegisterHost, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, often, type Queryable, rowsOf } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'
import { hashSecret } from '../../http/resolve-caller.ts'

export interface HostRow {
  id: string
  team_id: string
  name: string
  url: string | null
  api_url: string | null
  registered_from: string | null
  agent: string | null
  ping_interval_s: string | null
  status: 'online' | 'draining' | 'offline' | 'retired'
  reachable: boolean
  key_hash: string | null
  call_key: string | null
  link_only: boolean
  boot_id: string | null
  last_seen_at: string | null
}

/** How to call a host: only its pinned URL, with the key that this host (or the lab) agreed on. */
export interface HostAddress {
  hostName: string
  baseUrl: string
  key: string | undefined
  /** The host knows a call by its X-Request-ID, so that repeating one is safe: true for our agents. */
  repeats?: boolean
  /** The host is reached over its own link and in no other way. */
  linkOnly?: boolean
}

export const hostAddress = (
  host: Pick<HostRow, 'name' | 'url' | 'api_url' | 'call_key'> & { link_only?: boolean },
  sharedKey: string | undefined,
): HostAddress => ({
  hostName: host.name,
  baseUrl: (host.api_url ?? host.url ?? '').replace(/\/+$/, ''),
  key: host.call_key ?? sharedKey,
  // Only our agents send a key for calls.
  repeats: host.call_key !== null,
  linkOnly: host.link_only === true,
})

const hostColumns = sql`id, team_id, name, url, api_url, registered_from, agent, ping_interval_s, status, reachable, key_hash, call_key, link_only, boot_id, last_seen_at`

export function findHost(db: Queryable, teamId: string, name: string): Promise<HostRow | undefined> {
  return firstRow(
    db,
    often(sql<HostRow>`select ${hostColumns} from hosts where name = ${name} and team_id = ${teamId} and status <> 'retired'`),
  )
}

/**
 * A host by its name over all teams: what hosts themselves are known by. The row is locked, here and wherever hosts are, for
 * no key update: the stronger lock would also stop every new run of this host, and the two could wait for each other.
 */
export function lockHostByName(tx: Transaction, name: string): Promise<HostRow | undefined> {
  return firstRow(
    tx,
    sql<HostRow>`select ${hostColumns} from hosts where name = ${name} and status <> 'retired' for no key update`,
  )
}

/** The host that owns a key, for the resolution of callers. */
export function findHostByKey(db: Queryable, keyHash: string): Promise<{ name: string; team_id: string } | undefined> {
  return firstRow(
    db,
    sql<{ name: string; team_id: string }>`select name, team_id from hosts where key_hash = ${keyHash} and status <> 'retired'`,
  )
}

/** A host with a key of its own answers only to that key; any host key may speak for no other host. */
export function assertMaySpeakFor(caller: Caller, host: { name: string; keyHash: string | null }): void {
  const isOwn = caller.hostName === host.name
  const isShared = caller.hostKeyProven && caller.hostName === null
  if (caller.hostName !== null && !isOwn) throw new LabError('forbidden', { text: 'This key belongs to another host.' })
  if (host.keyHash !== null && !isOwn && !isShared)
    throw new LabError('unauthorized', { text: 'This host has a key of its own and must send it.' })
}

/**
 * One name, two agents: the one that registered last is the host, whatever the other one says of it. Original hosts name no
 * start of theirs.
 */
export const isOtherStart = (host: { boot_id: string | null }, bootId: string | undefined): boolean =>
  bootId !== undefined && bootId !== host.boot_id

export const otherAgentError = (host: { registered_from: string | null }): LabError =>
  new LabError('conflict', {
    text: `Another agent has registered under this name since${host.registered_from === null ? '' : `, from ${host.registered_from}`}, and is alive. Stop one of the two, or give it another HOST_NAME.`,
  })

/** Stores what a host says of itself. Returns its row as it is afterwards. */
export async function registerHost(tx: Transaction, caller: Caller, body: RegisterHost): Promise<HostRow> {
  // A row first, so that two registrations of one new name meet at its lock.
  await sql`
    insert into hosts (id, team_id, name, status) values (${randomUUID()}, ${caller.teamId}, ${body.host_name}, 'offline')
    on conflict (name) do nothing`.execute(tx.kysely)
  const known = await firstRow(
    tx,
    sql<HostRow>`select ${hostColumns} from hosts where name = ${body.host_name} for no key update`,
  )
  if (!known) throw new LabError('conflict')
  assertMaySpeakFor(caller, { name: known.name, keyHash: known.key_hash })
  if (known.status === 'retired') throw new LabError('conflict', { text: 'This host was retired by an administrator.' })
  assertUrlNotTaken(known, body, caller)

  const host = await firstRow(
    tx,
    sql<HostRow>`
      update hosts
         set url = ${body.host_url}, api_url = ${body.host_api_url || null}, port = ${body.host_port ?? 6109},
             ip = ${body.host_ip ?? null}, description = ${body.description ?? null}, registered_from = ${caller.ip},
             agent = ${body.agent ?? null}, agent_version = ${body.agent_version ?? null}, protocol_version = ${body.protocol ?? null},
             ping_interval_s = ${body.ping_interval_s ?? null}, boot_id = ${body.boot_id ?? null}, call_key = ${body.call_key ?? null},
             link_only = ${body.link_only ?? false},
             scripts = ${JSON.stringify(body.scripts ?? [])}, system_stats = ${JSON.stringify(body.system_stats ?? {})},
             status = 'online', status_reason = null, reachable = true, last_seen_at = now(), updated_at = now(),
             reconnected_at = case when registered_at is null then null else now() end,
             registered_at = coalesce(registered_at, now())
       where id = ${known.id}
      returning ${hostColumns}`,
  )
  if (!host) throw new LabError('conflict')
  await storeDevices(tx, host, body.devices, { merge: false })
  await reviveDevices(tx, [host.id])
  if (known.status !== 'online') emitHost(tx, 'host.online', host, { reason: 'registered' })
  return host
}

/**
 * In open mode anybody can send a registration, and the registered URL receives the lab's key with the next call. So a host
 * that is online keeps its URL unless the change comes from where it registered, or with a valid key.
 */
function assertUrlNotTaken(known: HostRow, body: RegisterHost, caller: Caller): void {
  const changed = known.url !== body.host_url || (known.api_url ?? null) !== (body.host_api_url || null)
  if (changed && isStranger(known, caller)) throw new LabError('host_url_pinned')
}

/** The same for a goodbye: it would open the way to another URL. */
export function assertMaySayGoodbye(known: HostRow, caller: Caller): void {
  if (isStranger(known, caller))
    throw new LabError('forbidden', { text: 'This host is online and registered from another address.' })
}

const isStranger = (known: HostRow, caller: Caller): boolean =>
  known.status === 'online' && known.registered_from !== null && known.registered_from !== caller.ip && !caller.hostKeyProven

/**
 * Brings the device rows in line with what the host sent; rows that are equal already are not written. With `merge`, fields
 * that were not sent keep their value: a ping may carry less of a device than its registration.
 */
export async function storeDevices(
  tx: Transaction,
  host: Pick<HostRow, 'id' | 'team_id' | 'name'>,
  devices: readonly RegisteredDevice[],
  { merge }: { merge: boolean },
): Promise<void> {
  const next = merge
    ? {
        name: sql`coalesce(excluded.name, d.name)`,
        model: sql`coalesce(excluded.model, d.model)`,
        registration: sql`(d.registration || excluded.registration)`,
      }
    : { name: sql`excluded.name`, model: sql`excluded.model`, registration: sql`excluded.registration` }
  const incoming = devices.map((device, position) => ({
    id: randomUUID(),
    device_key: device.device_id,
    position,
    name: device.device_name ?? null,
    model: device.device_model ?? null,
    registration: device,
  }))
  const changed = await rowsOf(
    tx,
    sql<{ device_key: string }>`
      with sent as (
        select distinct on (device_key) *
          from jsonb_to_recordset(${JSON.stringify(incoming)}::jsonb)
               as s(id uuid, device_key text, position integer, name text, model text, registration jsonb)
      ), gone as (
        update devices
           set present = false, status = case when status in ('retired', 'maintenance') then status else 'offline' end, updated_at = now()
         where host_id = ${host.id} and present and device_key not in (select device_key from sent)
        returning device_key
      ), stored as (
        insert into devices as d (id, team_id, host_id, device_key, position, name, model, registration, status)
        select id, ${host.team_id}::uuid, ${host.id}::uuid, device_key, position, name, model, registration, 'offline' from sent
        on conflict (host_id, device_key) do update
           set position = excluded.position, name = ${next.name}, model = ${next.model}, registration = ${next.registration},
               present = true, updated_at = now()
         where not d.present
            or (d.position, d.name, d.model, d.registration)
               is distinct from (excluded.position, ${next.name}, ${next.model}, ${next.registration})
        returning device_key
      )
      select device_key from gone union all select device_key from stored`,
  )
  if (changed.length > 0) {
    emitHost(tx, 'host.devices_changed', host, { device_ids: changed.map((device) => device.device_key) })
  }
}

/**
 * Devices of hosts that are back: leased if a lease is still held, else available. Locked by a statement of its own: a lease
 * that ends at this moment has the row locked, and the next statement must see its end, or the device stayed leased for ever.
 */
export async function reviveDevices(tx: Queryable, hostIds: readonly string[]): Promise<void> {
  await sql`
    select 1 from devices where host_id = any(${hostIds}::uuid[]) and status = 'offline' order by id for no key update`.execute(
    tx.kysely,
  )
  await sql`
    update devices d
       set status = case when exists (select 1 from leases l where l.device_id = d.id and l.status = 'held')
                         then 'leased' else 'available' end,
           updated_at = now()
     where d.host_id = any(${hostIds}::uuid[]) and d.status = 'offline' and d.present`.execute(tx.kysely)
}

/** Marks hosts offline with their devices. Leases are not touched here: they end by their own rules. */
export async function markHostsOffline(tx: Transaction, hostIds: readonly string[], reason: string): Promise<HostRow[]> {
  if (hostIds.length === 0) return []
  const hosts = await rowsOf(
    tx,
    sql<HostRow>`
      with h as (
        update hosts set status = 'offline', status_reason = ${reason}, updated_at = now()
         where id = any(${hostIds}::uuid[]) and status in ('online', 'draining')
        returning ${hostColumns}
      ), d as (
        update devices set status = 'offline', updated_at = now()
         where host_id in (select id from h) and status in ('available', 'leased')
      )
      select * from h`,
  )
  for (const host of hosts) emitHost(tx, 'host.offline', host, { reason })
  return hosts
}

/** Remembers whether the last call to a host could connect; shown as `unreachable` until the next success or ping. */
export async function setReachable(tx: Transaction, hostName: string, reachable: boolean): Promise<void> {
  const host = await firstRow(
    tx,
    sql<HostRow>`
      update hosts set reachable = ${reachable}, updated_at = now()
       where name = ${hostName} and reachable is distinct from ${reachable}
      returning ${hostColumns}`,
  )
  if (host && !reachable) emitHost(tx, 'host.unreachable', host, {})
}

/** Issues a key of its own for a host, known or not yet; only the hash is kept. */
export async function issueHostKey(tx: Transaction, teamId: string, hostName: string): Promise<string> {
  const key = `vpth_${randomBytes(24).toString('base64url')}`
  const row = await firstRow(
    tx,
    sql<{ id: string }>`
      insert into hosts as h (id, team_id, name, status, key_hash)
      values (${randomUUID()}, ${teamId}, ${hostName}, 'offline', ${hashSecret(key)})
      on conflict (name) do update set key_hash = excluded.key_hash, updated_at = now() where h.team_id = excluded.team_id
      returning id`,
  )
  if (!row) throw new LabError('conflict', { text: 'A host of this name belongs to another team.' })
  return key
}

export function emitHost(
  tx: Transaction,
  type: 'host.online' | 'host.offline' | 'host.devices_changed' | 'host.unreachable',
  host: Pick<HostRow, 'team_id' | 'name'>,
  data: Record<string, unknown>,
): void {
  tx.emit({
    teamId: host.team_id,
    type,
    subjectKind: 'host',
    subjectId: host.name,
    rooms: [rooms.team(host.team_id), rooms.host(host.name)],
    data: { host_name: host.name, ...data },
  })
}
