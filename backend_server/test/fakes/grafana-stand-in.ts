import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Duplex, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { answerApi } from './grafana/api.ts'
import { readConfiguration } from './grafana/configuration.ts'
import { openMemory } from './grafana/memory.ts'
import { createQueries, type QueryRequest } from './grafana/queries.ts'
import { createSignOn, type SignedIn } from './grafana/sign-on.ts'

/*
 * Grafana as far as a proxy, a sign-on and organizations can tell, configured by the very files that the real one would read:
 * the sub-path rule, signed identities, login and basic authentication where the file allows them, cookies, the query API, the
 * live socket with its origin check; and answers that are slow or large.
 *
 * The rules of organizations, with the place in Grafana 12 where each stands:
 * - Organizations are numbered upwards from 1 ("Main Org."); names are unique; whoever makes one becomes its administrator; only
 *   server administrators may (POST /api/orgs: pkg/api/org.go, docs "Organization HTTP API").
 * - A provisioning file for an organization that does not exist ends the start (pkg/services/provisioning/utils: CheckOrgExists).
 * - A signed token (docs "Configure JWT authentication", pkg/services/authn/clients/jwt.go) gives organizations by `org_mapping`;
 *   with `role_attribute_strict`, who is in none is refused; `GrafanaAdmin` needs `allow_assign_grafana_admin`
 *   (pkg/login/social/connectors/org_role_mapper.go).
 * - At each such request memberships become exactly those of the token: others are removed, unless the last administrator would
 *   go (pkg/services/authn/authnimpl/sync/org_sync.go).
 * - A request is about the organization of `targetOrgId`, else of X-Grafana-Org-Id, else the user's current one; in one that he
 *   is no member of he may do nothing (pkg/services/authn/authnimpl/service.go, user_sync.go).
 * - `?orgId=` and POST /api/user/using/N change the current organization to one of his, and to no other
 *   (pkg/middleware/org_redirect.go, pkg/services/user/userimpl/user.go).
 * - Data sources, folders and dashboards belong to one organization; uids are unique inside it only; passwords are never shown.
 */

export interface GrafanaStandIn {
  /** `user role@organization method path` of each request that came in. */
  seen: string[]
  stop: () => Promise<void>
}

export async function startGrafanaStandIn(configFile: string): Promise<GrafanaStandIn> {
  const config = readConfiguration(configFile)
  const { setting, isOn } = config
  const memory = openMemory(config)
  const whoIs = createSignOn(config, memory)
  const queries = createQueries()
  const rootUrl = setting('server', 'root_url')
  const subPath = new URL(rootUrl).pathname.replace(/\/$/, '')
  const liveLimit = Number(setting('live', 'max_connections', '100'))
  const seen: string[] = []
  const sockets = new Set<Duplex>()

  const isAdmin = (pair: string): boolean =>
    !isOn('security', 'disable_initial_admin_creation') &&
    pair === `${setting('security', 'admin_user', 'admin')}:${setting('security', 'admin_password', 'admin')}`
  const note = (who: SignedIn | undefined, what: string): number =>
    seen.push(`${who?.user.login ?? '-'} ${who?.role ?? '-'}@${who?.orgId ?? '-'} ${what}`)

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/'
    const method = request.method ?? 'GET'
    const who = whoIs(request)
    note(who, `${method} ${url}`)
    // Since version 10; `/api` is answered without the prefix too.
    if (!url.startsWith(subPath) && !url.startsWith('/api')) {
      redirect(response, 301, `${rootUrl}${url.slice(1)}`)
      return
    }
    const { pathname, searchParams } = new URL(url.startsWith(subPath) ? url.slice(subPath.length) || '/' : url, 'http://x')
    if (isOn('security', 'csrf_always_check') && !isOwnOrigin(request))
      return json(response, 403, { message: 'origin not allowed' })
    if (pathname === '/api/health') return json(response, 200, { database: 'ok', version: 'stand-in' })
    if (pathname.startsWith('/public/')) return asset(response, pathname)
    if (pathname === '/login' && method === 'POST') return login(request, response)
    if (pathname === '/login') return who ? redirect(response, 302, `${subPath}/`) : page(response)
    if (!who) {
      if (pathname.startsWith('/api/')) return json(response, 401, { message: 'Unauthorized' })
      return redirect(response, 302, `${subPath}/login`)
    }
    const wantedOrg = Number(searchParams.get('orgId')) || who.orgId
    if (wantedOrg !== who.orgId) {
      if (who.user.orgs[wantedOrg] === undefined) return json(response, 404, { message: 'Not found' })
      who.user.orgId = wantedOrg
      return redirect(response, 302, url)
    }
    if (pathname === '/api/ds/query' && method === 'POST') {
      if (who.role === undefined) return json(response, 403, { message: 'Permission denied' })
      const sources = memory.orgOf(who.orgId)?.dataSources ?? {}
      const result = await queries.run(sources, JSON.parse(await text(request)) as QueryRequest)
      return json(response, result.status, result.body)
    }
    if (pathname === '/api/stand-in/large') return large(response, Number(searchParams.get('mb')))
    if (pathname === '/api/stand-in/slow') {
      const timer = setTimeout(() => json(response, 200, { slow: true }), Number(searchParams.get('ms')))
      response.once('close', () => clearTimeout(timer))
      return
    }
    if (pathname.startsWith('/api/')) {
      const body = JSON.parse((await text(request)) || '{}') as Record<string, unknown>
      const result = answerApi(memory, { method, path: pathname, body, who })
      return json(response, result?.status ?? 404, result?.body ?? { message: 'Not found' })
    }
    if (pathname === '/' || pathname.startsWith('/d/')) return page(response, memory.orgOf(who.orgId)?.name)
    return json(response, 404, { message: 'Not found' })
  }

  /** The host that browsers use, as the proxy passed it on; ports do not count. */
  function isOwnOrigin(request: IncomingMessage): boolean {
    const { origin, host } = request.headers
    if (origin === undefined || /^(HEAD|OPTIONS|TRACE)$/.test(request.method ?? '')) return true
    return URL.parse(origin)?.hostname === URL.parse(`http://${host}`)?.hostname
  }

  async function login(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { user, password } = JSON.parse((await text(request)) || '{}') as { user?: string; password?: string }
    if (isOn('auth', 'disable_login_form')) return json(response, 401, { message: 'Login is disabled' })
    if (!isAdmin(`${user}:${password}`)) return json(response, 401, { message: 'Invalid username or password' })
    response.setHeader('set-cookie', [
      'grafana_session=signed-in; Path=/grafana; HttpOnly',
      'grafana_session_expiry=1; Path=/grafana',
    ])
    return json(response, 200, { message: 'Logged in' })
  }

  const page = (response: ServerResponse, orgName = ''): void => {
    response.setHeader('set-cookie', ['redirect_to=%2Fgrafana%2F; Path=/grafana', 'theme=dark; Path=/grafana; SameSite=Lax'])
    response.setHeader('content-type', 'text/html; charset=utf-8')
    if (!isOn('security', 'allow_embedding')) response.setHeader('x-frame-options', 'deny')
    if (isOn('security', 'content_security_policy'))
      response.setHeader(
        'content-security-policy',
        setting('security', 'content_security_policy_template')
          .replaceAll('$NONCE', "'nonce-x'")
          .replaceAll('$ROOT_PATH', new URL(rootUrl).host),
      )
    response.end(`<!doctype html><html><head><base href="${subPath}/"><title>Grafana</title>
<link rel="stylesheet" href="public/build/app.css"><script src="public/build/app.js"></script></head>
<body><script nonce="x">window.grafanaBootData = { settings: { "appSubUrl": "${subPath}" }, user: { "orgName": ${JSON.stringify(orgName)} } }</script></body></html>`)
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => json(response, 500, { message: 'Internal Server Error' }))
  })
  server.on('upgrade', (request, socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket)).on('error', () => {})
    const who = whoIs(request)
    const allowed = setting('live', 'allowed_origins').split(',')
    const origin = request.headers.origin
    const isAllowed =
      origin === undefined || isOwnHost(origin, request) || origin === new URL(rootUrl).origin || allowed.includes(origin)
    const status =
      request.url !== `${subPath}/api/live/ws` || liveLimit === 0 ? 404 : who === undefined ? 401 : isAllowed ? 101 : 403
    note(who, `UPGRADE ${request.url}`)
    if (status !== 101) socket.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\n\r\n`)
    else openEcho(socket, request.headers['sec-websocket-key'] ?? '')
  })
  const isOwnHost = (origin: string, request: IncomingMessage): boolean => URL.parse(origin)?.host === request.headers.host
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(Number(setting('server', 'http_port')), setting('server', 'http_addr'), resolve)
  })
  return {
    seen,
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await queries.stop()
    },
  }
}

function asset(response: ServerResponse, pathname: string): void {
  const known: Record<string, string> = { '/public/build/app.js': 'text/javascript', '/public/build/app.css': 'text/css' }
  const type = known[pathname]
  if (!type) {
    json(response, 404, { message: 'Not found' })
    return
  }
  response.writeHead(200, { 'content-type': type, 'cache-control': 'public, max-age=3600' })
  response.end('/* built */')
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function redirect(response: ServerResponse, status: number, location: string): void {
  response.writeHead(status, { location })
  response.end()
}

async function large(response: ServerResponse, megabytes: number): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const chunks = function* (): Generator<Buffer> {
    for (let sent = 0; sent < megabytes * 16; sent += 1) yield chunk
  }
  response.setHeader('content-type', 'application/octet-stream')
  await pipeline(Readable.from(chunks()), response).catch(() => {})
}

/** Text frames of up to 125 bytes come back as they are; enough to see that a socket lives. */
function openEcho(socket: Duplex, key: string): void {
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  socket.on('data', (frame: Buffer) => {
    const length = (frame[1] ?? 0) & 0x7f
    if (((frame[0] ?? 0) & 0x0f) === 8) {
      socket.end(Buffer.from([0x88, 0]))
      return
    }
    const payload = Buffer.from(frame.subarray(6, 6 + length).map((byte, at) => byte ^ (frame[2 + (at % 4)] ?? 0)))
    socket.write(Buffer.concat([Buffer.from([0x81, payload.length]), payload]))
  })
  socket.on('end', () => socket.end())
}
