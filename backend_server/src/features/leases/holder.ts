import type { Caller } from '../../http/caller.ts'
import type { Holder, LeaseRow } from './lease.row.ts'

/**
 * Who a person is for a lease: the token; else the user or session id the web app sends; else, only while login is off, the
 * address. The web app compares `lockedBy` with its own user id, so that comes first. A token is shown by its name only.
 */
export function holderOf(
  caller: Caller,
  body: { user_id?: string | null | undefined; session_id?: string | null | undefined },
): Holder {
  if (caller.tokenId !== null) return { kind: 'user', id: caller.tokenId, name: caller.name, ip: caller.ip }
  return { kind: 'user', id: body.user_id || body.session_id || caller.ip, name: null, ip: caller.ip }
}

/** Is the caller the one who holds this lease? By id, or, only where login is off, by address. */
export const ownsLease = (
  lease: Pick<LeaseRow, 'holder_kind' | 'holder_id' | 'holder_ip'>,
  holder: Holder,
  byAddress: boolean,
): boolean =>
  lease.holder_kind === 'user' &&
  (lease.holder_id === holder.id || (byAddress && lease.holder_ip !== null && lease.holder_ip === holder.ip))

/** `lockedBy` of the protocol: never the id of a token. */
export const shownHolder = (lease: Pick<LeaseRow, 'holder_kind' | 'holder_id' | 'holder_name'>): string =>
  lease.holder_kind === 'user' ? (lease.holder_name ?? lease.holder_id) : lease.holder_id

/** The holder as people read it. */
export const readableHolder = (lease: Pick<LeaseRow, 'holder_kind' | 'holder_id' | 'holder_name' | 'purpose'>): string =>
  lease.holder_name ?? (lease.holder_kind === 'user' ? lease.holder_id : (lease.purpose ?? lease.holder_id))
