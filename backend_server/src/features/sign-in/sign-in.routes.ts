import { signInRoutes } from '@virtualpytest/shared'
import type { FastifyRequest } from 'fastify'
import { type Database, inTransaction } from '../../db/database.ts'
import type { Mount } from '../../http/mount.ts'
import { writeAudit } from '../audit/index.ts'
import { createSession, endSession } from './session.store.ts'
import { readSessionCookies, sessionCookie } from './session-cookie.ts'

export interface SignInOptions {
  db: Database
  authMode: 'open' | 'required'
  publicUrl: () => string
}

export function mountSignInRoutes(mount: Mount, { db, authMode, publicUrl }: SignInOptions): void {
  const isSecure = (request: FastifyRequest): boolean => request.protocol === 'https' || publicUrl().startsWith('https:')

  mount(signInRoutes.open, async ({ caller, request, reply }) => {
    const { tokenId } = caller
    if (authMode === 'open' || tokenId === null) return { success: true, expires_at: null }
    const session = await inTransaction(db, async (tx) => {
      // The browser's former session is not left behind: nobody could end it any more.
      for (const secret of readSessionCookies(request.headers.cookie)) await endSession(tx, secret)
      const created = await createSession(tx, tokenId)
      await writeAudit(tx, { caller, action: 'session.open', targetKind: 'token', targetId: tokenId, requestId: request.id })
      return created
    })
    void reply.header('set-cookie', sessionCookie(session.secret, { seconds: session.seconds, isSecure: isSecure(request) }))
    return { success: true, expires_at: session.expiresAt }
  })

  mount(signInRoutes.close, async ({ request, reply }) => {
    for (const secret of readSessionCookies(request.headers.cookie)) await endSession(db, secret)
    void reply.header('set-cookie', sessionCookie('', { seconds: 0, isSecure: isSecure(request) }))
    return { success: true }
  })
}
