import type { Database } from '../../db/database.ts'
import type { CallerRequest, FoundToken } from '../../http/resolve-caller.ts'
import { findSessionToken } from './session.store.ts'
import { readSessionCookies } from './session-cookie.ts'

export interface SessionSources {
  db: Database
  /** A token that is neither expired nor revoked. */
  findToken: (hash: string) => Promise<FoundToken | undefined>
  publicUrl: () => string
  /** Origins of web apps that may use the API. */
  corsOrigins: readonly string[]
}

/** The token behind the cookie of a browser. A script of another page, such as one on another port, may not read with it. */
export function createSessionLookup({ db, findToken, publicUrl, corsOrigins }: SessionSources) {
  function isOwnPage({ origin, host }: CallerRequest['headers']): boolean {
    if (origin === undefined || corsOrigins.includes(origin)) return true
    const asking = URL.parse(origin)?.host
    return asking !== undefined && asking !== '' && [host, URL.parse(publicUrl())?.host].includes(asking)
  }

  return async function findBySession({ headers }: CallerRequest): Promise<FoundToken | undefined> {
    if (!isOwnPage(headers)) return undefined
    for (const secret of readSessionCookies(headers.cookie)) {
      const hash = await findSessionToken(db, secret)
      const token = hash === undefined ? undefined : await findToken(hash)
      if (token) return token
    }
    return undefined
  }
}
