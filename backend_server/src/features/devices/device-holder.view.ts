import type { DeviceHolder, DeviceStatusChange } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Queryable, rowsOf } from '../../db/query.ts'
import { healthColumn } from '../device-health/index.ts'
import { type Holder, openAsks, ownsLease, showAsk } from '../leases/index.ts'

export interface HolderQuery {
  teamId: string
  hostName?: string | undefined
  deviceKey?: string | undefined
  /** Who looks: sees which lease is their own. Administrators see addresses too. */
  viewer: { holder: Holder; byAddress: boolean; isAdmin: boolean }
}

type HolderRecord = Omit<DeviceHolder, 'holder' | 'asks'> & {
  holder: (Omit<NonNullable<DeviceHolder['holder']>, 'is_you'> & { holder_id: string }) | null
}

/** Who has each device and who waits for it, in one statement and a second one for open questions. */
export async function listHolders(db: Queryable, query: HolderQuery): Promise<DeviceHolder[]> {
  const devices = await rowsOf(
    db,
    sql<HolderRecord>`
      select h.name as host_name, d.device_key as device_id, d.name as device_name, d.status,
             last.at as status_since, last.reason as status_reason, last.actor as status_actor, ${healthColumn} as health,
             case when l.id is null then null else jsonb_build_object(
               'lease_id', l.id, 'kind', l.holder_kind, 'holder_id', l.holder_id, 'address', l.holder_ip, 'purpose', l.purpose,
               'name', coalesce(l.holder_name, case when l.holder_kind = 'user' then l.holder_id else coalesce(l.purpose, l.holder_id) end),
               'since', l.granted_at, 'until', greatest(l.expires_at, r.alive_until), 'last_activity_at', l.last_activity_at,
               'kept_until', l.kept_until,
               'run', case when r.id is null then null else jsonb_build_object(
                 'id', r.id, 'name', r.name, 'status', r.status, 'path', '/server/runs/' || r.id) end) end as holder,
             coalesce((
               select jsonb_agg(jsonb_build_object('position', w.position, 'kind', w.kind, 'name', w.name, 'priority', w.priority,
                                                   'since', w.since, 'run_id', w.run_id) order by w.position)
                 from (select *, row_number() over (order by priority desc, since, id) as position
                         from device_line where device_id = d.id) w), '[]') as waiting
        from devices d
        join hosts h on h.id = d.host_id
        left join leases l on l.device_id = d.id and l.status = 'held'
        left join lateral (
             select id, name, status, alive_until from runs
              where lease_id = l.id and status in ('assigned', 'running') order by assigned_at desc limit 1) r on true
        left join lateral (
             select at, reason, actor from device_status_history where device_id = d.id order by id desc limit 1) last on true
       where d.team_id = ${query.teamId} and h.status <> 'retired'
         -- a device that its host no longer announces is shown to who names it
         and (d.present or l.id is not null or ${query.deviceKey ?? null}::text is not null)
         and (${query.hostName ?? null}::text is null or h.name = ${query.hostName ?? null})
         and (${query.deviceKey ?? null}::text is null or d.device_key = ${query.deviceKey ?? null})
       order by h.name, d.position, d.device_key`,
  )
  const asks = await openAsks(
    db,
    devices.flatMap((device) => device.holder?.lease_id ?? []),
  )
  return devices.map((device) => ({
    ...device,
    holder: device.holder && showHolder(device.holder, query.viewer),
    asks: asks.filter((ask) => ask.lease_id === device.holder?.lease_id).map(showAsk),
  }))
}

function showHolder(
  { holder_id, ...holder }: NonNullable<HolderRecord['holder']>,
  { holder: viewer, byAddress, isAdmin }: HolderQuery['viewer'],
): NonNullable<DeviceHolder['holder']> {
  const isYou = ownsLease({ holder_kind: holder.kind, holder_id, holder_ip: holder.address }, viewer, byAddress)
  return { ...holder, is_you: isYou, address: isYou || isAdmin ? holder.address : null }
}

/** Changes of a device's status, newest first. */
export function listStatusChanges(
  db: Queryable,
  query: { deviceId: string; before: number | undefined; limit: number },
): Promise<DeviceStatusChange[]> {
  return rowsOf(
    db,
    sql<DeviceStatusChange>`
      select id, from_status, to_status, reason, actor, at from device_status_history
       where device_id = ${query.deviceId} and (${query.before ?? null}::bigint is null or id < ${query.before ?? null})
       order by id desc
       limit ${query.limit}`,
  )
}
