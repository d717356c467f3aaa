import { type Access, LabError } from '@virtualpytest/shared'
import type { Caller } from '../../http/caller.ts'
import type { ProgramRequest } from '../../http/mounted-program/index.ts'
import { type CallerRequest, type FoundToken, hashSecret } from '../../http/resolve-caller.ts'
import { anybodyHeaders, personHeaders } from './identity.ts'
import { readSession, sessionSeconds, signSession } from './session-cookie.ts'

export interface SignOnOptions {
  authMode: 'open' | 'required'
  resolveCaller: (request: CallerRequest, access: Access) => Promise<Caller>
  /** A token that is neither expired nor revoked, by the hash of its secret. */
  findToken: (hash: string) => Promise<FoundToken | undefined>
  sessionKey: string
  /** The team whose rows the data source shows. Grafana would show them to everybody whom it knows. */
  teamId: string
  /** Public origin of this server, where it is known; the address a request came to always counts. */
  publicUrl: () => string
  now?: () => number
}

/** A page asks for many files at once; whether a token counts is asked this often. */
const tokenCacheMs = 10_000
const mostCachedTokens = 1000

/** Who looks at dashboards: the people and programs of the API, told to Grafana in headers that only this server can send. */
export function createSignOn(options: SignOnOptions) {
  const { authMode, sessionKey, now = Date.now } = options
  const cache = new Map<string, { token: FoundToken | undefined; until: number }>()

  async function findToken(hash: string): Promise<FoundToken | undefined> {
    const known = cache.get(hash)
    if (known && known.until > now()) return known.token
    const token = await options.findToken(hash)
    if (cache.size >= mostCachedTokens) cache.clear()
    cache.set(hash, { token, until: now() + tokenCacheMs })
    return token
  }

  function assertTeam(teamId: string): void {
    if (teamId !== options.teamId)
      throw new LabError('forbidden', {
        text: 'The dashboards of this server show another team. Results of yours are in the API.',
      })
  }

  /** A page elsewhere can send a browser's cookie along, and where login is off it needs none. */
  function assertOwnPage(request: ProgramRequest): void {
    const { origin } = request.headers
    if (origin === undefined || (!request.isUpgrade && /^(GET|HEAD|OPTIONS)$/.test(request.method))) return
    const host = URL.parse(origin)?.host
    const own = [request.host, URL.parse(options.publicUrl())?.host]
    if (host === undefined || !own.includes(host))
      throw new LabError('forbidden', { text: 'Pages of other addresses may not do that.' })
  }

  async function findBySession(request: ProgramRequest): Promise<FoundToken | undefined> {
    const hash = readSession(sessionKey, request.headers.cookie, now())
    return hash === undefined ? undefined : findToken(hash)
  }

  return {
    /** Headers for Grafana; throws for who may not come in. */
    async authorize(request: ProgramRequest): Promise<Record<string, string>> {
      if (authMode === 'open') {
        assertOwnPage(request)
        return anybodyHeaders
      }
      if (request.headers.authorization === undefined) {
        assertOwnPage(request)
        const token = await findBySession(request)
        if (token) {
          assertTeam(token.team_id)
          return personHeaders({ tokenId: token.id, name: token.name, role: token.role })
        }
      }
      const caller = await options.resolveCaller({ headers: request.headers, ip: request.ip, query: {} }, 'viewer')
      assertTeam(caller.teamId)
      return personHeaders({ tokenId: caller.tokenId ?? '', name: caller.name ?? '', role: caller.role })
    },

    /** Value and end of a session for the token of this request; undefined where nobody signs in. */
    openSession(caller: Caller, authorization: string | undefined): { value: string; end: number } | undefined {
      const secret = /^Bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1]
      // Signing in says who somebody is; what they may see is asked at each request.
      if (authMode === 'open' || caller.kind !== 'token' || secret === undefined) return undefined
      const end = now() + sessionSeconds * 1000
      return { value: signSession(sessionKey, { hash: hashSecret(secret), end }), end }
    },
  }
}
export type SignOn = ReturnType<typeof createSignOn>
