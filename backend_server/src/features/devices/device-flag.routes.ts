import { deviceFlagRoutes, LabError, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Database, inTransaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'
import type { Mount } from '../../http/mount.ts'

interface FlagRow {
  id: string
  host_name: string
  device_id: string
  device_name: string | null
  flags: string[]
  created_at: string
  updated_at: string
}

export function mountDeviceFlagRoutes(mount: Mount, { db }: { db: Database }): void {
  mount(deviceFlagRoutes.list, async ({ caller }) => ({ success: true, data: await listFlags(db, caller.teamId) }))

  mount(deviceFlagRoutes.batch, async ({ caller }) => {
    const rows = await listFlags(db, caller.teamId)
    return { success: true, data: { device_flags: rows, unique_flags: uniqueFlags(rows) } }
  })

  mount(deviceFlagRoutes.names, async ({ caller }) => ({ success: true, data: uniqueFlags(await listFlags(db, caller.teamId)) }))

  mount(deviceFlagRoutes.replace, async ({ params, body, caller }) => {
    const flags = [...new Set(body.flags.map((flag) => flag.toLowerCase()))].sort()
    const row = await inTransaction(db, async (tx) => {
      const device = await firstRow(
        tx,
        sql<{ id: string }>`
          select d.id from devices d join hosts h on h.id = d.host_id
           where d.team_id = ${caller.teamId} and h.name = ${params.host_name} and d.device_key = ${params.device_id} and h.status <> 'retired'
             for update of d`,
      )
      if (!device) throw new LabError('device_not_found')
      await sql`delete from device_flags where device_id = ${device.id} and flag <> all(${flags}::text[])`.execute(tx.kysely)
      await sql`
        insert into device_flags (device_id, flag, set_by)
        select ${device.id}::uuid, unnest(${flags}::text[]), ${caller.name}
        on conflict do nothing`.execute(tx.kysely)
      tx.emit({
        teamId: caller.teamId,
        type: 'device.flags_changed',
        subjectKind: 'device',
        subjectId: `${params.host_name}:${params.device_id}`,
        rooms: [rooms.team(caller.teamId), rooms.host(params.host_name), rooms.device(params.host_name, params.device_id)],
        data: { host_name: params.host_name, device_id: params.device_id, flags },
      })
      const [stored] = await listFlags(tx, caller.teamId, device.id)
      return stored
    })
    if (!row) throw new LabError('device_not_found')
    return { success: true, data: row }
  })
}

const uniqueFlags = (rows: readonly FlagRow[]): string[] => [...new Set(rows.flatMap((row) => row.flags))].sort()

/** One row per device, also without flags: the web app shows all of them. */
async function listFlags(db: Queryable, teamId: string, deviceId?: string): Promise<FlagRow[]> {
  return rowsOf(
    db,
    sql<FlagRow>`
      select d.id, h.name as host_name, d.device_key as device_id, d.name as device_name,
             coalesce(array_agg(f.flag order by f.flag) filter (where f.flag is not null), '{}') as flags,
             d.created_at, greatest(d.created_at, max(f.set_at)) as updated_at
        from devices d join hosts h on h.id = d.host_id left join device_flags f on f.device_id = d.id
       where d.team_id = ${teamId} and h.status <> 'retired' and (${deviceId ?? null}::uuid is null or d.id = ${deviceId ?? null})
       group by d.id, h.id
       order by h.name, d.position, d.device_key`,
  )
}
