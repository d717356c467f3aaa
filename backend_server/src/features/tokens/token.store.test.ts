import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { createTestDatabase } from '../../../test/test-db.ts'
import { inTransaction } from '../../db/database.ts'
import { hashSecret } from '../../http/resolve-caller.ts'
import { createFirstToken, createToken, findToken } from './token.store.ts'

test('servers that start at the same moment make one first token together, and none later', async (t) => {
  const { db } = await createTestDatabase(t)
  const first = () => inTransaction(db, (tx) => createFirstToken(tx, defaultTeamId))
  const made = (await Promise.all(Array.from({ length: 4 }, first))).filter((secret) => secret !== undefined)
  assert.equal(made.length, 1)
  assert.equal((await findToken(db, hashSecret(made[0] ?? '')))?.role, 'admin')
  await sql`update api_tokens set revoked_at = now()`.execute(db.kysely)
  assert.equal(await first(), undefined, 'a lab that revoked it keeps its door closed')
})

test('a token is usable until it expires or is revoked; its last use is remembered', async (t) => {
  const { db } = await createTestDatabase(t)
  const { secret, token } = await inTransaction(db, (tx) =>
    createToken(tx, { teamId: defaultTeamId, name: 'ci', role: 'viewer', days: 1, createdBy: null }),
  )
  const find = () => findToken(db, hashSecret(secret))
  const change = (set: ReturnType<typeof sql>) => sql`update api_tokens set ${set} where id = ${token.id}`.execute(db.kysely)
  assert.deepEqual([(await find())?.id, (await find())?.role, token.last_used_at], [token.id, 'viewer', null])
  const rows = await sql<{ last_used_at: string | null }>`select last_used_at from api_tokens`.execute(db.kysely)
  assert.ok(rows.rows[0]?.last_used_at)
  await change(sql`expires_at = now()`)
  assert.equal(await find(), undefined)
  await change(sql`expires_at = now() + interval '1 day', revoked_at = now()`)
  assert.equal(await find(), undefined)
  assert.equal(await findToken(db, hashSecret('')), undefined)
})
