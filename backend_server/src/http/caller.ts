import type { Role } from '@virtualpytest/shared'

/** Who makes a request, resolved once per request by the access feature. Everything below trusts only this. */
export interface Caller {
  kind: 'token' | 'open' | 'host' | 'public'
  teamId: string
  role: Role
  /** Token id, or null where login is off. */
  tokenId: string | null
  /** Name of the token, for audit and `requested_by`. */
  name: string | null
  ip: string
  /** Set when a host proved itself with its own key: it may act for this host only. */
  hostName: string | null
  /** True when a host sent a valid key (its own or the shared one). */
  hostKeyProven: boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}
