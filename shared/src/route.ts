import type { z } from 'zod'

/**
 * Who may call a route. `public`: anybody. `host`: a host agent (its key, where HOST_REGISTRATION=key).
 * The others name the least role a person or token needs; every role includes the ones before it.
 */
export type Access = 'public' | 'host' | 'viewer' | 'tester' | 'admin'

/** One route of the contract: everything a server, a client or a reader must know about it. */
export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Path with the `/server` prefix and `{name}` parameters, as in OpenAPI. The server also answers without the prefix. */
  path: string
  access: Access
  summary: string
  /** Browsers may open it with the cookie of a sign-in. Only what is read and changes nothing: pages of others can send a cookie too. */
  byCookie?: true
  params?: z.ZodObject
  query?: z.ZodObject
  body?: z.ZodType
  /** Answers by status. The first success status is the default one. Failures all use ApiError and need not be listed. */
  answers: Record<number, z.ZodType | null>
  /** Largest request body in bytes; the general limit is 5 MB. */
  bodyLimit?: number
  /** Content type of the answer where it is not JSON. */
  produces?: string
  /** Statuses of ApiError answers worth knowing. */
  failures?: readonly number[]
}

/** Keeps the literal types of a route table, so that handlers are checked against their own schemas. */
export const defineRoutes = <const T extends Record<string, Route>>(routes: T): T => routes
