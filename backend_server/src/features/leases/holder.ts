import type { Caller } from '../../http/caller.ts'
import type { Holder } from './lease.store.ts'

/**
 * Who a person is for a lease: the token; else the user or session id the web app sends; else, only while login is off, the
 * address. `lockedBy` shows this id, and the web app compares it with its own user id, so that comes first.
 */
export function holderOf(
  caller: Caller,
  body: { user_id?: string | null | undefined; session_id?: string | null | undefined },
): Holder {
  if (caller.tokenId !== null) return { kind: 'user', id: caller.tokenId, ip: caller.ip }
  return { kind: 'user', id: body.user_id || body.session_id || caller.ip, ip: caller.ip }
}
