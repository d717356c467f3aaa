import { createHash, timingSafeEqual } from 'node:crypto'
import { type Access, defaultTeamId, LabError, parseTeamId, type Role, roleRank } from '@virtualpytest/shared'
import type { FastifyRequest } from 'fastify'
import type { Caller } from './caller.ts'

/** API tokens start with this, so that a leaked one is recognized by people and scanners. */
export const tokenPrefix = 'vpt_'
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex')

export interface FoundToken {
  id: string
  team_id: string
  name: string
  role: Role
}

/** What a caller is resolved from; a socket's handshake has it too. */
export type CallerRequest = Pick<FastifyRequest, 'headers' | 'ip' | 'query'>

export interface CallerSources {
  authMode: 'open' | 'required'
  hostRegistration: 'open' | 'key'
  apiKey: string | undefined
  /** Throws while the server cannot serve what needs the database. */
  assertReady: () => void
  /** A token that is neither expired nor revoked. */
  findToken: (hash: string) => Promise<FoundToken | undefined>
  /** The token behind the cookie of a signed-in browser, if it counts and the page that asks may use it. */
  findBySession?: (request: CallerRequest) => Promise<FoundToken | undefined>
  /** The host that owns this key. */
  findHostByKey: (hash: string) => Promise<{ name: string; team_id: string } | undefined>
}

/**
 * The one place where a caller is resolved: from the Authorization header, the host key, the cookie of a signed-in browser
 * where a route takes it, or, where login is off, nothing. Sign-in services and finer rights will join here.
 */
export function createCallerResolver(sources: CallerSources) {
  return async function resolveCaller(request: CallerRequest, access: Access, byCookie = false): Promise<Caller> {
    const wantedTeam = parseTeamId((request.query as Record<string, unknown> | undefined)?.team_id)
    const nobody: Caller = {
      kind: 'public',
      teamId: wantedTeam ?? defaultTeamId,
      role: 'viewer',
      tokenId: null,
      name: null,
      ip: request.ip,
      hostName: null,
      hostKeyProven: false,
    }
    if (access === 'public') return nobody
    sources.assertReady()
    if (access === 'host') return resolveHost(request, nobody)

    const token = bearerToken(request)
    if (token === undefined && sources.authMode === 'open') return { ...nobody, kind: 'open', role: 'admin' }
    const session = token === undefined && byCookie ? await sources.findBySession?.(request) : undefined
    if (token === undefined && !session) {
      throw new LabError('unauthorized', { text: 'This server needs an API token: send Authorization: Bearer <token>.' })
    }
    const found = session ? { ...session, role: 'viewer' as const } : await sources.findToken(hashSecret(token ?? ''))
    if (!found) throw new LabError('unauthorized', { text: 'This API token is unknown, expired or revoked.' })
    if (wantedTeam !== undefined && wantedTeam !== found.team_id) {
      throw new LabError('forbidden', { text: 'This API token belongs to another team.' })
    }
    if (roleRank[found.role] < roleRank[access]) {
      throw new LabError('forbidden', { text: `This needs the role ${access}; the token has ${found.role}.` })
    }
    return { ...nobody, kind: 'token', teamId: found.team_id, role: found.role, tokenId: found.id, name: found.name }
  }

  async function resolveHost(request: CallerRequest, nobody: Caller): Promise<Caller> {
    // A registration's team never comes from the request: it is the team of the host's own key, else the default one.
    const host: Caller = { ...nobody, kind: 'host', teamId: defaultTeamId }
    const key = singleHeader(request.headers['x-api-key'])
    if (key !== undefined) {
      if (sources.apiKey !== undefined && sameSecret(key, sources.apiKey)) return { ...host, hostKeyProven: true }
      const owner = await sources.findHostByKey(hashSecret(key))
      if (owner) return { ...host, teamId: owner.team_id, hostName: owner.name, hostKeyProven: true }
    }
    if (sources.hostRegistration === 'open') return host
    throw new LabError('unauthorized', {
      text: key === undefined ? 'This server needs X-API-Key from hosts.' : 'This host key is not known here.',
    })
  }

  function bearerToken(request: CallerRequest): string | undefined {
    const header = singleHeader(request.headers.authorization)
    const match = header === undefined ? null : /^Bearer\s+(\S+)$/i.exec(header)
    // Where login is off, bearer values of other sign-in services are not ours to judge.
    if (sources.authMode === 'open' && !match?.[1]?.startsWith(tokenPrefix)) return undefined
    return match?.[1] ?? (header === undefined ? undefined : '')
  }
}
export type CallerResolver = ReturnType<typeof createCallerResolver>

const singleHeader = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value)

/** Compares secrets in constant time: their hashes have one length whatever the input. */
export function sameSecret(one: string, other: string): boolean {
  return timingSafeEqual(createHash('sha256').update(one).digest(), createHash('sha256').update(other).digest())
}
