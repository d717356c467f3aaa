import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import path from 'node:path'
import { type Duplex, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { expandMacros } from '../grafana/expand-sql.ts'

/*
 * Grafana as far as a proxy and a sign-on can tell, configured by the very files that the real one would read: the sub-path
 * rule, the identity headers with their whitelist, login and basic authentication where the file allows them, cookies, the
 * query API on the provisioned data source, the live socket with its origin check; and answers that are slow or large.
 */

interface Person {
  login: string
  name: string
  role: string
}
interface StandInDataSource {
  uid: string
  url: string
  user: string
  jsonData: { database: string }
  secureJsonData: { password: string }
}

export interface GrafanaStandIn {
  /** `user role method path` of each request that came in. */
  seen: string[]
  stop: () => Promise<void>
}

export async function startGrafanaStandIn(configFile: string): Promise<GrafanaStandIn> {
  const ini = readIni(readFileSync(configFile, 'utf8'))
  const setting = (section: string, key: string, fallback = ''): string => ini[section]?.[key] ?? fallback
  const isOn = (section: string, key: string, fallback = 'false'): boolean => setting(section, key, fallback) === 'true'
  const rootUrl = setting('server', 'root_url')
  const subPath = new URL(rootUrl).pathname.replace(/\/$/, '')
  const provisioning = setting('paths', 'provisioning')
  const [dataSource] = readProvisioned<{ datasources: StandInDataSource[] }>(provisioning, 'datasources').flatMap(
    (file) => file.datasources,
  )
  const folders = readProvisioned<{ providers: { options: { path: string } }[] }>(provisioning, 'dashboards')
    .flatMap((file) => file.providers)
    .map((provider) => provider.options.path)
  const liveLimit = Number(setting('live', 'max_connections', '100'))
  const seen: string[] = []
  const sockets = new Set<Duplex>()

  function whoIs(request: IncomingMessage): Person | undefined {
    const header = (name: string): string | undefined => request.headers[name.toLowerCase()]?.toString()
    const user = header(setting('auth.proxy', 'header_name', 'X-WEBAUTH-USER'))
    const isNear = setting('auth.proxy', 'whitelist')
      .split(',')
      .includes(request.socket.remoteAddress ?? '')
    if (isOn('auth.proxy', 'enabled') && user !== undefined && isNear) {
      const names = Object.fromEntries(
        setting('auth.proxy', 'headers')
          .split(' ')
          .map((pair) => pair.split(':')),
      ) as Record<string, string>
      return { login: user, name: header(names.Name ?? '') ?? user, role: header(names.Role ?? '') ?? 'Viewer' }
    }
    const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (basic !== undefined && isOn('auth.basic', 'enabled', 'true') && isAdmin(Buffer.from(basic, 'base64').toString()))
      return admin()
    if (/grafana_session=signed-in/.test(request.headers.cookie ?? '')) return admin()
    return isOn('auth.anonymous', 'enabled') ? { login: '', name: 'Anonymous', role: 'Viewer' } : undefined
  }
  const admin = (): Person => ({ login: setting('security', 'admin_user', 'admin'), name: 'admin', role: 'Admin' })
  const isAdmin = (pair: string): boolean =>
    !isOn('security', 'disable_initial_admin_creation') &&
    pair === `${setting('security', 'admin_user', 'admin')}:${setting('security', 'admin_password', 'admin')}`

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/'
    const person = whoIs(request)
    seen.push(`${person?.login ?? '-'} ${person?.role ?? '-'} ${request.method} ${url}`)
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
    if (pathname === '/login' && request.method === 'POST') return login(request, response)
    if (pathname === '/login') return person ? redirect(response, 302, `${subPath}/`) : page(response)
    if (!person) {
      if (pathname.startsWith('/api/')) return json(response, 401, { message: 'Unauthorized' })
      return redirect(response, 302, `${subPath}/login`)
    }
    if (pathname === '/api/user') return json(response, 200, { login: person.login, name: person.name, isGrafanaAdmin: false })
    if (pathname === '/api/user/orgs') return json(response, 200, [{ orgId: 1, name: 'Main Org.', role: person.role }])
    if (pathname === '/api/ds/query' && request.method === 'POST') return runQueries(request, response)
    if (pathname === '/api/admin/settings') return json(response, 403, { message: 'Permission denied' })
    if (pathname.startsWith('/api/dashboards/uid/')) return dashboard(response, pathname.split('/').at(-1) ?? '')
    if (pathname === '/api/stand-in/large') return large(response, Number(searchParams.get('mb')))
    if (pathname === '/api/stand-in/slow') {
      const timer = setTimeout(() => json(response, 200, { slow: true }), Number(searchParams.get('ms')))
      response.once('close', () => clearTimeout(timer))
      return
    }
    if (pathname === '/' || pathname.startsWith('/d/')) return page(response)
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

  async function runQueries(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await text(request)) as {
      from: string
      to: string
      queries: { refId: string; rawSql: string; datasource: { uid: string } }[]
    }
    const range = { from: new Date(Number(body.from)), to: new Date(Number(body.to)) }
    const results: Record<string, unknown> = {}
    let status = 200
    for (const { refId, rawSql, datasource } of body.queries) {
      if (datasource.uid !== dataSource?.uid) return json(response, 404, { message: 'Data source not found' })
      try {
        const result = await runSql(dataSource, expandMacros(rawSql, range))
        const fields = result.fields.map((field) => ({ name: field.name }))
        results[refId] = {
          status: 200,
          frames: [{ schema: { refId, fields }, data: { values: fields.map((_, at) => result.rows.map((row) => row[at])) } }],
        }
      } catch (error) {
        status = 400
        results[refId] = { status: 400, error: error instanceof Error ? error.message : 'failed' }
      }
    }
    return json(response, status, { results })
  }

  function dashboard(response: ServerResponse, uid: string): void {
    const found = folders
      .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => path.join(folder, file)))
      .find((file) => path.basename(file) === `${uid}.json`)
    if (!found) json(response, 404, { message: 'Dashboard not found' })
    else json(response, 200, { meta: { provisioned: true }, dashboard: JSON.parse(readFileSync(found, 'utf8')) as unknown })
  }

  const page = (response: ServerResponse): void => {
    response.setHeader('set-cookie', ['redirect_to=%2Fgrafana%2F; Path=/grafana', 'theme=dark; Path=/grafana; SameSite=Lax'])
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(`<!doctype html><html><head><base href="${subPath}/"><title>Grafana</title>
<link rel="stylesheet" href="public/build/app.css"><script src="public/build/app.js"></script></head>
<body><script>window.grafanaBootData = { settings: { "appSubUrl": "${subPath}" } }</script></body></html>`)
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => json(response, 500, { message: 'Internal Server Error' }))
  })
  server.on('upgrade', (request, socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket)).on('error', () => {})
    const person = whoIs(request)
    const allowed = setting('live', 'allowed_origins').split(',')
    const origin = request.headers.origin
    const isAllowed =
      origin === undefined || isOwnHost(origin, request) || origin === new URL(rootUrl).origin || allowed.includes(origin)
    const status =
      request.url !== `${subPath}/api/live/ws` || liveLimit === 0 ? 404 : person === undefined ? 401 : isAllowed ? 101 : 403
    seen.push(`${person?.login ?? '-'} ${person?.role ?? '-'} UPGRADE ${request.url}`)
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

async function runSql(source: StandInDataSource, sql: string): Promise<{ fields: { name: string }[]; rows: unknown[][] }> {
  const [host, port] = source.url.split(':')
  const client = new pg.Client({
    host,
    port: Number(port),
    user: source.user,
    password: source.secureJsonData.password,
    database: source.jsonData.database,
  })
  client.on('error', () => {})
  await client.connect()
  try {
    const result = await client.query<unknown[]>({ text: sql, rowMode: 'array' })
    return { fields: result.fields, rows: result.rows }
  } finally {
    await client.end().catch(() => {})
  }
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

function readIni(content: string): Record<string, Record<string, string>> {
  const sections: Record<string, Record<string, string>> = {}
  let section = ''
  for (const line of content.split('\n')) {
    const head = /^\[(.+)\]$/.exec(line.trim())?.[1]
    if (head !== undefined) section = head
    const pair = /^([^;#\s=][^=]*?)\s*=\s*(.*)$/.exec(line.trim())
    if (head !== undefined || !pair) continue
    sections[section] ??= {}
    Object.assign(sections[section] ?? {}, { [pair[1] ?? '']: (pair[2] ?? '').replace(/^"""(.*)"""$/, '$1') })
  }
  return sections
}

/** Provisioning files with the replacements that Grafana makes in each text: `$$` is a dollar, `$NAME` a variable. */
function readProvisioned<File>(folder: string, kind: string): File[] {
  const files = readdirSync(path.join(folder, kind)).filter((name) => name.endsWith('.yaml'))
  return files.map((name) => {
    const content = readFileSync(path.join(folder, kind, name), 'utf8').replace(/^#.*$/gm, '')
    return JSON.parse(content, (_key, value: unknown) =>
      typeof value === 'string'
        ? value
            .split('$$')
            .map((part) => part.replace(/\$\{?\w+\}?/g, ''))
            .join('$')
        : value,
    ) as File
  })
}
