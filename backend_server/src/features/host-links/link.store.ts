import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable, rowsOf } from '../../db/query.ts'

/** This server as the others see it. */
export interface ServerInstance {
  id: string
  name: string
  internalUrl: string
  internalKey: string
}

export interface LinkRow {
  linkId: string
  hostId: string
  bootId: string
}

/** An owner that was not heard of for so long has lost its links. */
const lifeSeconds = 30

async function writeInstance(tx: Transaction, server: ServerInstance): Promise<void> {
  await sql`
    insert into server_instances (id, name, internal_url, internal_key, expires_at)
    values (${server.id}, ${server.name}, ${server.internalUrl}, ${server.internalKey}, now() + make_interval(secs => ${lifeSeconds}))
    on conflict (id) do update set expires_at = excluded.expires_at, internal_url = excluded.internal_url`.execute(tx.kysely)
}

/** The newest link of a host takes the row, unless a later start of the agent has registered in between. */
export async function takeLink(tx: Transaction, server: ServerInstance, link: LinkRow): Promise<boolean> {
  await writeInstance(tx, server)
  const row = await firstRow(
    tx,
    sql<{ host_id: string }>`
      insert into host_links (host_id, link_id, server_id, boot_id, expires_at)
      select h.id, ${link.linkId}::uuid, ${server.id}::uuid, h.boot_id, now() + make_interval(secs => ${lifeSeconds})
        from hosts h where h.id = ${link.hostId} and h.boot_id = ${link.bootId} and h.status <> 'retired'
      on conflict (host_id) do update
         set link_id = excluded.link_id, server_id = excluded.server_id, boot_id = excluded.boot_id,
             opened_at = now(), expires_at = excluded.expires_at
      returning host_id`,
  )
  return row !== undefined
}

/**
 * Renews the links of this server, and takes back rows that were lost while the database was away. The ids of the links that
 * are still this server's: the others were replaced, or their agent was.
 */
export async function renewLinks(tx: Transaction, server: ServerInstance, links: readonly LinkRow[]): Promise<Set<string>> {
  await writeInstance(tx, server)
  const kept = await rowsOf(
    tx,
    sql<{ link_id: string }>`
      insert into host_links as l (host_id, link_id, server_id, boot_id, expires_at)
      select h.id, x."linkId", ${server.id}::uuid, h.boot_id, now() + make_interval(secs => ${lifeSeconds})
        from jsonb_to_recordset(${JSON.stringify(links)}::jsonb) as x("linkId" uuid, "hostId" uuid, "bootId" text)
             join hosts h on h.id = x."hostId" and h.boot_id = x."bootId" and h.status <> 'retired'
       order by h.id
      on conflict (host_id) do update set expires_at = excluded.expires_at
         where l.link_id = excluded.link_id
      returning link_id`,
  )
  return new Set(kept.map((row) => row.link_id))
}

/** Links whose owner died, and servers that have been gone for an hour. */
export async function deleteExpiredLinks(tx: Transaction): Promise<void> {
  await sql`delete from host_links where expires_at < now()`.execute(tx.kysely)
  await sql`delete from server_instances where expires_at < now() - interval '1 hour'`.execute(tx.kysely)
}

export async function dropLink(db: Queryable, linkId: string): Promise<void> {
  await sql`delete from host_links where link_id = ${linkId}`.execute(db.kysely)
}

export async function dropInstance(db: Queryable, serverId: string): Promise<void> {
  await sql`delete from server_instances where id = ${serverId}`.execute(db.kysely)
}

export interface LinkOwner {
  link_id: string
  boot_id: string
  server_id: string
  internal_url: string
  internal_key: string
}

export function findLinkOwner(db: Queryable, hostName: string): Promise<LinkOwner | undefined> {
  return firstRow(
    db,
    sql<LinkOwner>`
      select l.link_id, l.boot_id, l.server_id, s.internal_url, s.internal_key
        from host_links l join hosts h on h.id = l.host_id join server_instances s on s.id = l.server_id
       where h.name = ${hostName} and l.expires_at > now()`,
  )
}

export interface LinkingHost {
  id: string
  team_id: string
  name: string
  key_hash: string | null
  call_key: string | null
  boot_id: string | null
}

export function findLinkingHost(db: Queryable, hostName: string): Promise<LinkingHost | undefined> {
  return firstRow(
    db,
    sql<LinkingHost>`
      select id, team_id, name, key_hash, call_key, boot_id from hosts
       where name = ${hostName} and status <> 'retired' and registered_at is not null`,
  )
}
