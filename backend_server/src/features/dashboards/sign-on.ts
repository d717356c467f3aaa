import { type Access, defaultTeamId, LabError } from '@virtualpytest/shared'
import type { Caller } from '../../http/caller.ts'
import { type ProgramRequest, splitUrl } from '../../http/mounted-program/index.ts'
import { type CallerRequest, type FoundToken, hashSecret } from '../../http/resolve-caller.ts'
import { anybody, type Person, plainHeaders, signedHeaders } from './identity.ts'
import { readSession, sessionSeconds, signSession } from './session-cookie.ts'
import type { SignOnKey } from './sign-on-key.ts'

export interface TeamsOfGrafana {
  key: SignOnKey
  /** Undefined while there is no organization for the team yet. */
  organizationOf: (teamId: string) => number | undefined
}

export interface SignOnOptions {
  authMode: 'open' | 'required'
  resolveCaller: (request: CallerRequest, access: Access) => Promise<Caller>
  /** A token that is neither expired nor revoked, by the hash of its secret. */
  findToken: (hash: string) => Promise<FoundToken | undefined>
  sessionKey: string
  /** Where each team has an organization of its own; undefined for a Grafana that knows only the default team. */
  teams: TeamsOfGrafana | undefined
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

  function headersFor(request: ProgramRequest, teamId: string, person: Person): Record<string, string> {
    if (!options.teams) {
      // It would show the rows of its one data source to everybody whom it knows.
      if (teamId !== defaultTeamId)
        throw new LabError('forbidden', {
          text: 'The dashboards of this server show another team. Results of yours are in the API.',
        })
      return plainHeaders(person)
    }
    const organization = options.teams.organizationOf(teamId)
    if (organization === undefined)
      throw new LabError('grafana_unavailable', { text: 'The dashboards of your team are being prepared.' })
    assertOwnOrganization(request, organization)
    return signedHeaders(options.teams.key, person, organization, now())
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
      if (isHealthCheck(request)) return {}
      if (authMode === 'open') {
        assertOwnPage(request)
        return headersFor(request, defaultTeamId, anybody)
      }
      if (request.headers.authorization === undefined) {
        assertOwnPage(request)
        const token = await findBySession(request)
        if (token) return headersFor(request, token.team_id, { tokenId: token.id, name: token.name, role: token.role })
      }
      const caller = await options.resolveCaller({ headers: request.headers, ip: request.ip, query: {} }, 'viewer')
      return headersFor(request, caller.teamId, { tokenId: caller.tokenId ?? '', name: caller.name ?? '', role: caller.role })
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

/** Grafana tells everybody how it is, and checks from a shell or a monitor have no token. */
const isHealthCheck = ({ url, method, isUpgrade }: ProgramRequest): boolean =>
  /^(GET|HEAD)$/.test(method) && !isUpgrade && splitUrl(url)[0] === '/grafana/api/health'

/** Grafana compares what an address asks for with the memberships by itself; it need not come to that. */
function assertOwnOrganization(request: ProgramRequest, organization: number): void {
  const query = new URLSearchParams(splitUrl(request.url)[1])
  const asked = [...query.getAll('orgId'), ...query.getAll('targetOrgId')]
  if (asked.some((one) => one !== '' && one !== String(organization)))
    throw new LabError('forbidden', { text: 'This address belongs to the dashboards of another team. Open /grafana/ for yours.' })
}
