import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

/** What is known about a request before it is passed on; a WebSocket handshake has it too. */
export interface ProgramRequest {
  method: string
  /** Path with query, as sent. */
  url: string
  headers: IncomingHttpHeaders
  /** Address of the client, seen through the trusted proxies. */
  ip: string
  /** Client and trusted proxies in the order of X-Forwarded-For. */
  via: readonly string[]
  /** Name and port by which the client reached the entry, such as `lab.example.org`. */
  host: string | undefined
  protocol: 'http' | 'https'
  isUpgrade: boolean
}

/**
 * `trustedProxies` is the number of proxies in front of this server. What else stands in forwarding headers was written by
 * the client and counts for nothing. Fastify knows the same of ordinary requests, but not of upgrades.
 */
export function readProgramRequest(message: IncomingMessage, trustedProxies: number): ProgramRequest {
  const { headers, socket } = message
  const peer = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  const named = trustedProxies > 0 ? listOf(headers['x-forwarded-for']).slice(-trustedProxies) : []
  const via = [...named, peer]
  const trusted = (name: string): string | undefined => (trustedProxies > 0 ? listOf(headers[name]).at(-1) : undefined)
  const isEncrypted = 'encrypted' in socket && socket.encrypted === true
  return {
    method: message.method ?? 'GET',
    url: message.url ?? '/',
    headers,
    ip: via[0] ?? peer,
    via,
    host: trusted('x-forwarded-host') ?? headers.host,
    protocol: (trusted('x-forwarded-proto') ?? (isEncrypted ? 'https' : 'http')) === 'https' ? 'https' : 'http',
    isUpgrade: headers.upgrade !== undefined,
  }
}

export const splitUrl = (url: string): [path: string, query: string] => {
  const at = url.indexOf('?')
  return at === -1 ? [url, ''] : [url.slice(0, at), url.slice(at)]
}

/** A person in front of a browser gets a page; programs, and the scripts of pages, get JSON. */
export function wantsPage(request: ProgramRequest): boolean {
  const destination = request.headers['sec-fetch-dest']
  if (destination !== undefined && !/^i?frame$|^document$/.test(String(destination))) return false
  return /^(GET|HEAD)$/.test(request.method) && !request.isUpgrade && /\btext\/html\b/.test(request.headers.accept ?? '')
}

const listOf = (value: string | string[] | undefined): string[] =>
  (Array.isArray(value) ? value.join(',') : (value ?? ''))
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean)
