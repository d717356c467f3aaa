import { randomBytes, randomUUID } from 'node:crypto'
import { type ApiToken, LabError, type Role, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, often, type Queryable, rowsOf } from '../../db/query.ts'
import { type FoundToken, hashSecret, tokenPrefix } from '../../http/resolve-caller.ts'

const columns = sql`id, team_id, name, role, created_at, expires_at, last_used_at, revoked_at`

/** A usable token by the hash of its secret; its last use is remembered to the minute. */
export async function findToken(db: Queryable, hash: string): Promise<FoundToken | undefined> {
  const token = await firstRow(
    db,
    often(sql<FoundToken & { seen: boolean }>`
      select id, team_id, name, role, last_used_at > now() - interval '1 minute' as seen
        from api_tokens where token_hash = ${hash} and revoked_at is null and expires_at > now()`),
  )
  if (token && !token.seen) await sql`update api_tokens set last_used_at = now() where id = ${token.id}`.execute(db.kysely)
  return token
}

export async function createToken(
  tx: Transaction,
  input: { teamId: string; name: string; role: Role; days: number; createdBy: string | null },
): Promise<{ secret: string; token: ApiToken }> {
  const secret = `${tokenPrefix}${randomBytes(32).toString('base64url')}`
  const token = await firstRow(
    tx,
    sql<ApiToken>`
      insert into api_tokens (id, team_id, name, token_hash, role, created_by, expires_at)
      values (${randomUUID()}, ${input.teamId}, ${input.name}, ${hashSecret(secret)}, ${input.role}, ${input.createdBy},
              now() + make_interval(days => ${input.days}))
      returning ${columns}`,
  )
  if (!token) throw new LabError('internal')
  emitToken(tx, 'token.created', token)
  return { secret, token }
}

export function listTokens(db: Queryable, teamId: string): Promise<ApiToken[]> {
  return rowsOf(db, sql<ApiToken>`select ${columns} from api_tokens where team_id = ${teamId} order by created_at desc`)
}

export async function revokeToken(tx: Transaction, teamId: string, id: string): Promise<ApiToken | undefined> {
  const token = await firstRow(
    tx,
    sql<ApiToken>`update api_tokens set revoked_at = coalesce(revoked_at, now()) where id = ${id} and team_id = ${teamId} returning ${columns}`,
  )
  if (token) emitToken(tx, 'token.revoked', token)
  return token
}

/** The first admin of a server that requires tokens: made once, when there is no token at all yet. */
export async function createFirstToken(tx: Transaction, teamId: string): Promise<string | undefined> {
  await sql`select pg_advisory_xact_lock(hashtext('virtualpytest.first-token'))`.execute(tx.kysely)
  const any = await firstRow(tx, sql`select 1 from api_tokens limit 1`)
  if (any) return undefined
  return (await createToken(tx, { teamId, name: 'first start', role: 'admin', days: 30, createdBy: 'server' })).secret
}

function emitToken(tx: Transaction, type: 'token.created' | 'token.revoked', token: ApiToken): void {
  tx.emit({
    teamId: token.team_id,
    type,
    subjectKind: 'token',
    subjectId: token.id,
    rooms: [rooms.team(token.team_id)],
    data: { name: token.name, role: token.role },
  })
}
