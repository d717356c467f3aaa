import { LabError, tokenRoutes } from '@virtualpytest/shared'
import { type Database, inTransaction } from '../../db/database.ts'
import type { Mount } from '../../http/mount.ts'
import { writeAudit } from '../audit/index.ts'
import { createToken, listTokens, revokeToken } from './token.store.ts'

export function mountTokenRoutes(mount: Mount, { db }: { db: Database }): void {
  mount(tokenRoutes.list, async ({ caller }) => ({ success: true, tokens: await listTokens(db, caller.teamId) }))

  mount(tokenRoutes.create, async ({ body, caller, request }) => {
    const { secret, token } = await inTransaction(db, async (tx) => {
      const created = await createToken(tx, {
        teamId: caller.teamId,
        name: body.name,
        role: body.role,
        days: body.expires_in_days,
        createdBy: caller.name,
      })
      await writeAudit(tx, {
        caller,
        action: 'token.create',
        targetKind: 'token',
        targetId: created.token.id,
        requestId: request.id,
        details: { name: body.name, role: body.role },
      })
      return created
    })
    return { success: true, token: secret, details: token }
  })

  mount(tokenRoutes.revoke, async ({ params, caller, request }) => {
    const token = await inTransaction(db, async (tx) => {
      const revoked = await revokeToken(tx, caller.teamId, params.token_id)
      if (!revoked) throw new LabError('not_found', { text: 'There is no such token in this team.' })
      await writeAudit(tx, { caller, action: 'token.revoke', targetKind: 'token', targetId: revoked.id, requestId: request.id })
      return revoked
    })
    return { success: true, details: token }
  })
}
