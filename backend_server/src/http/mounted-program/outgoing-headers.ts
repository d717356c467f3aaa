import type { IncomingHttpHeaders } from 'node:http'
import type { ProgramRequest } from './program-request.ts'

export interface HeaderRules {
  /** Names a client may not send, in lower case with dashes: `_` and `-` are the same to many programs. */
  withheld: RegExp
  /** Cookies that are this server's own affair. */
  withheldCookies: readonly string[]
}

/** Say something about one connection, not about the message. The length of a body is no such thing, whatever a client claims. */
const ofOneConnection = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'upgrade',
  // Answered already, by this server.
  'expect',
])
const framing = new Set(['content-length', 'transfer-encoding'])
const ours = /^(x-forwarded-.*|forwarded|x-real-ip)$/

/** Headers for the program: those of the client without what it may not say, then what this server says itself. */
export function outgoingHeaders(
  request: ProgramRequest,
  identity: Record<string, string>,
  target: URL,
  rules: HeaderRules,
): IncomingHttpHeaders {
  const listed = new Set((request.headers.connection ?? '').split(',').map((token) => token.trim().toLowerCase()))
  const headers: IncomingHttpHeaders = {}
  for (const [name, value] of Object.entries(request.headers)) {
    const plain = name.replaceAll('_', '-')
    const isDropped = ofOneConnection.has(name) || listed.has(name) || ours.test(plain) || rules.withheld.test(plain)
    if (!isDropped || framing.has(name)) headers[name] = value
  }
  const cookie = withoutCookies(request.headers.cookie, rules.withheldCookies)
  delete headers.cookie
  if (cookie !== undefined) headers.cookie = cookie
  return {
    ...headers,
    ...(request.isUpgrade && { connection: 'Upgrade', upgrade: request.headers.upgrade }),
    // A program elsewhere is found by its own name; one beside us must know the name that browsers use for it.
    host: target.protocol === 'https:' ? target.host : (request.host ?? target.host),
    'x-forwarded-for': request.via.join(', '),
    'x-forwarded-proto': request.protocol,
    'x-forwarded-host': request.host ?? target.host,
    ...identity,
  }
}

function withoutCookies(cookie: string | undefined, names: readonly string[]): string | undefined {
  if (cookie === undefined || names.length === 0) return cookie
  const kept = cookie.split(';').filter((one) => !names.includes(one.split('=', 1)[0]?.trim() ?? ''))
  return kept.length === 0 ? undefined : kept.join(';').trim()
}

/** Raw names and values of an answer, repeated ones included, without those of the connection it came over. */
export function answerHeaders(rawHeaders: readonly string[], connection: string | undefined): string[] {
  const listed = new Set((connection ?? '').split(',').map((token) => token.trim().toLowerCase()))
  const kept: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]]
    const key = name.toLowerCase()
    // Node chooses the framing for its own client, which may speak another version of HTTP.
    if (ofOneConnection.has(key) || key === 'transfer-encoding' || (listed.has(key) && key !== 'content-length')) continue
    kept.push(name, value)
  }
  return kept
}
