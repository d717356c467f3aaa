import { randomBytes, randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow, type Queryable } from '../../db/query.ts'
import { hashSecret } from '../../http/resolve-caller.ts'

/** A working day: the cookie of a forgotten browser is worth little, and signing in again is one paste. */
const sessionSeconds = 8 * 3600
/** Sign-ins of one token beside each other; the oldest one ends for a new one. */
const mostSessions = 50

/** A session for this token, which ends with it at the latest. Those that have ended are swept up on the way. */
export async function createSession(
  tx: Transaction,
  tokenId: string,
): Promise<{ secret: string; expiresAt: string; seconds: number }> {
  await sql`
    delete from browser_sessions where id in (select id from browser_sessions where expires_at < now() order by expires_at limit 500)`.execute(
    tx.kysely,
  )
  await sql`
    delete from browser_sessions where id in (
      select id from browser_sessions where token_id = ${tokenId} order by created_at desc, id offset ${mostSessions - 1})`.execute(
    tx.kysely,
  )
  const secret = randomBytes(32).toString('base64url')
  const session = await firstRow(
    tx,
    sql<{ expires_at: string; seconds: number }>`
      insert into browser_sessions (id, token_id, secret_hash, expires_at)
      select ${randomUUID()}, id, ${hashSecret(secret)}, least(now() + make_interval(secs => ${sessionSeconds}), expires_at)
        from api_tokens where id = ${tokenId}
      returning expires_at, ceil(extract(epoch from expires_at - now()))::int as seconds`,
  )
  if (!session) throw new Error('the token of this request is gone')
  return { secret, expiresAt: session.expires_at, seconds: session.seconds }
}

export async function endSession(db: Queryable, secret: string): Promise<void> {
  await sql`delete from browser_sessions where secret_hash = ${hashSecret(secret)}`.execute(db.kysely)
}

/** Hash of the token behind a cookie; whether that token still counts is asked where tokens are. */
export async function findSessionToken(db: Queryable, secret: string): Promise<string | undefined> {
  const row = await firstRow(
    db,
    sql<{ token_hash: string }>`
      select t.token_hash from browser_sessions s join api_tokens t on t.id = s.token_id
       where s.secret_hash = ${hashSecret(secret)} and s.expires_at > now()`,
  )
  return row?.token_hash
}
