import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { LabError } from '@virtualpytest/shared'
import { io } from 'socket.io-client'
import { withheldHeaders } from '../../src/features/dashboards/identity.ts'
import { until } from '../until.ts'
import { proxyTo, rawCall, startUpstream } from './start-proxy.ts'

interface Seen {
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: string
}

const echo = (request: IncomingMessage, response: import('node:http').ServerResponse): void => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (part: string) => {
    body += part
  })
  request.on('end', () => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body }))
  })
}

async function seenThrough(url: string, init: RequestInit = {}): Promise<Seen> {
  const response = await fetch(url, init)
  assert.equal(response.status, 200)
  return (await response.json()) as Seen
}

test('U2: every method reaches the program, with its body and its whole path', async (t) => {
  const { target } = await startUpstream(t, echo)
  const proxy = await proxyTo(t, target)
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'QUERY']) {
    const seen = await seenThrough(`${proxy.url}/grafana/api/ds/query?ds_type=postgres&x=%2Fa%20b`, {
      method,
      body: `{"method":"${method}"}`,
      headers: { 'content-type': 'application/json' },
    })
    assert.deepEqual(
      [seen.method, seen.url, seen.body],
      [method, '/grafana/api/ds/query?ds_type=postgres&x=%2Fa%20b', `{"method":"${method}"}`],
    )
  }
  const login = await seenThrough(`${proxy.url}/grafana/login`, {
    method: 'POST',
    body: 'user=a',
    headers: { 'content-type': 'text/plain' },
  })
  assert.deepEqual([login.url, login.body, login.headers['content-type']], ['/grafana/login', 'user=a', 'text/plain'])
  assert.equal(
    (await seenThrough(`${proxy.url}/grafana/`, { method: 'OPTIONS', headers: { origin: 'http://localhost:1' } })).method,
    'OPTIONS',
  )
  const head = await fetch(`${proxy.url}/grafana/`, { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers.get('content-type')], [200, 'application/json'])
  const long = `/grafana/d/${'x'.repeat(3000)}/`
  assert.equal((await seenThrough(`${proxy.url}${long}`)).url, long)
})

test('S26, S98, G6: only this server says who asks and by which way', async (t) => {
  const { target } = await startUpstream(t, echo)
  const proxy = await proxyTo(t, target)
  const answer = await rawCall(
    t,
    proxy.port,
    [
      'GET /grafana/api/user HTTP/1.1',
      'Host: lab.example.org:8443',
      'X-WEBAUTH-USER: admin',
      'X_WEBAUTH_ROLE: Admin',
      'X-WebAuth-Groups: admins',
      'Authorization: Basic YWRtaW46YWRtaW4=',
      'X-Forwarded-For: 10.9.8.7',
      'X-Forwarded-Host: evil.example.org',
      'X-Forwarded-Proto: https',
      'Forwarded: for=10.9.8.7',
      'X-Real-IP: 10.9.8.7',
      'Cookie: vpt_grafana=secret; theme=dark; grafana_session=1',
      // A proxy that takes this at its word would delete what it has just set.
      'Connection: close, X-Webauth-User, X-Webauth-Role, X-Custom',
      'X-Custom: of this connection',
      '',
      '',
    ].join('\r\n'),
  )
  await once(answer.socket, 'end').catch(() => {})
  const text = answer.rest()
  const { headers } = JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)) as Seen
  assert.equal(headers['x-webauth-user'], 'ann')
  assert.equal(headers['x-webauth-role'], 'Viewer')
  assert.equal(headers.host, 'lab.example.org:8443')
  assert.equal(headers['x-forwarded-for'], '127.0.0.1')
  assert.equal(headers['x-forwarded-host'], 'lab.example.org:8443')
  assert.equal(headers['x-forwarded-proto'], 'http')
  assert.equal(headers.cookie, 'theme=dark; grafana_session=1')
  for (const name of ['x_webauth_role', 'x-webauth-groups', 'authorization', 'forwarded', 'x-real-ip', 'x-custom'])
    assert.equal(headers[name], undefined, name)
})

test('S98, G6: no identity of any kind reaches Grafana, however its name is written', async (t) => {
  const { target } = await startUpstream(t, echo)
  const signed = { 'x-jwt-assertion': 'signed by the server', 'x-grafana-org-id': '7' }
  const proxy = await proxyTo(t, target, { withheldHeaders, authorize: () => Promise.resolve(signed) })
  const names =
    'X-WEBAUTH-USER X-WEBAUTH-ROLE X-WEBAUTH-EMAIL X-WEBAUTH-GROUPS X-WEBAUTH-ANYTHING X-JWT-Assertion Authorization X-Grafana-Org-Id X-Grafana-Id X-Grafana-User X-Grafana-Device-Id X-Id-Token X-Access-Token X-API-Key X-Auth-Request-User X-Forwarded-User Remote-User X-Remote-User'.split(
      ' ',
    )
  const spellings = names.flatMap((name) => [name, name.toLowerCase(), name.toUpperCase(), name.replaceAll('-', '_')])
  const answer = await rawCall(
    t,
    proxy.port,
    [
      'GET /grafana/api/user HTTP/1.1',
      'Host: lab.example.org',
      ...spellings.map((name) => `${name}: spoofed`),
      'X-Kept: spoofed no identity',
      'Connection: close',
      '',
      '',
    ].join('\r\n'),
  )
  await once(answer.socket, 'end').catch(() => {})
  const text = answer.rest()
  const { headers } = JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)) as Seen
  const arrived = Object.entries(headers).filter(([, value]) => String(value).includes('spoofed'))
  assert.deepEqual(arrived, [['x-kept', 'spoofed no identity']])
  assert.partialDeepStrictEqual(headers, signed)
})

test('S26: behind one trusted proxy the client is the one that it names', async (t) => {
  const { target } = await startUpstream(t, echo)
  const proxy = await proxyTo(t, target, { trustedProxies: 1 })
  const { headers } = await seenThrough(`${proxy.url}/grafana/`, {
    headers: { 'x-forwarded-for': '6.6.6.6, 203.0.113.9', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'lab.example.org' },
  })
  assert.equal(headers['x-forwarded-for'], '203.0.113.9, 127.0.0.1')
  assert.equal(headers['x-forwarded-proto'], 'https')
  assert.equal(headers['x-forwarded-host'], 'lab.example.org')
  assert.equal(headers.host, 'lab.example.org')
})

test('U3: repeated headers, cookies and redirects come back as they were; nothing of ours is added', async (t) => {
  const { target } = await startUpstream(t, (_request, response) => {
    const headers = [
      'Set-Cookie: a=1; Path=/grafana',
      'Set-Cookie: b=2; Path=/grafana; HttpOnly',
      'Link: </one>; rel=preload',
      'Link: </two>; rel=preload',
      'X-Frame-Options: deny',
      'Location: http://127.0.0.1:3000/grafana/login?x=1',
      'Cache-Control: public, max-age=60',
      'Keep-Alive: timeout=99',
      'X-Hop: 1',
      'Connection: keep-alive, X-Hop',
      'Content-Length: 0',
    ]
    response.writeHead(
      302,
      'Found It',
      headers.flatMap((line) => line.split(/: (.*)/s, 2)),
    )
    response.end()
  })
  const proxy = await proxyTo(t, target)
  const response = await fetch(`${proxy.url}/grafana/x`, { redirect: 'manual', headers: { origin: 'http://localhost:3000' } })
  assert.equal(response.status, 302)
  assert.equal(response.statusText, 'Found It')
  assert.deepEqual(response.headers.getSetCookie(), ['a=1; Path=/grafana', 'b=2; Path=/grafana; HttpOnly'])
  assert.equal(response.headers.get('link'), '</one>; rel=preload, </two>; rel=preload')
  assert.equal(response.headers.get('location'), 'http://127.0.0.1:3000/grafana/login?x=1')
  assert.equal(response.headers.get('cache-control'), 'public, max-age=60')
  assert.equal(response.headers.get('x-frame-options'), 'deny')
  assert.notEqual(response.headers.get('keep-alive'), 'timeout=99')
  for (const name of [
    'content-security-policy',
    'cross-origin-opener-policy',
    'x-request-id',
    'access-control-allow-origin',
    'x-hop',
    'vary',
  ])
    assert.equal(response.headers.get(name), null, name)
})

test('S26: the prefix without a slash redirects, and only paths below it belong to the program', async (t) => {
  const { target } = await startUpstream(t, echo)
  const proxy = await proxyTo(t, target)
  const bare = await fetch(`${proxy.url}/grafana?orgId=1`, { redirect: 'manual' })
  assert.deepEqual([bare.status, bare.headers.get('location')], [308, '/grafana/?orgId=1'])
  assert.equal((await seenThrough(`${proxy.url}/grafana?orgId=1`)).url, '/grafana/?orgId=1')
  for (const path of ['/grafanax/', '/server/grafana/api/health', '/Grafana/']) {
    const response = await fetch(`${proxy.url}${path}`)
    assert.equal(response.status, 404, path)
    assert.equal(((await response.json()) as { code: string }).code, 'route_not_found')
  }
})

test('S42, U3: off or down it is a 503 that tells nothing of the inside, as JSON or as a page', async (t) => {
  const gone = await startUpstream(t, echo)
  const { port } = gone.target()
  await new Promise((resolve) => gone.server.close(resolve))
  let address: URL | undefined = new URL(`http://127.0.0.1:${port}`)
  const proxy = await proxyTo(t, () => address)
  for (const reason of ['down', 'off']) {
    if (reason === 'off') address = undefined
    const response = await fetch(`${proxy.url}/grafana/api/ds/query`, { method: 'POST', body: '{}' })
    const text = await response.text()
    assert.equal(response.status, 503)
    assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8')
    assert.equal(response.headers.get('cache-control'), 'no-store')
    const body = JSON.parse(text) as Record<string, unknown>
    assert.deepEqual([body.success, body.code, body.error === body.message], [false, 'grafana_unavailable', true])
    assert.match(String(body.request_id), /^[0-9a-f-]{36}$/)
    const page = await fetch(`${proxy.url}/grafana/`, { headers: { accept: 'text/html,*/*' } })
    const html = await page.text()
    assert.equal(page.status, 503)
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.match(html, /<h1>Dashboards<\/h1>/)
    for (const secret of [port, '127.0.0.1', 'ECONN', 'node:'])
      assert.ok(!text.includes(secret) && !html.includes(secret), `${reason} tells ${secret}`)
  }
  const script = await fetch(`${proxy.url}/grafana/`, { headers: { accept: 'text/html,*/*', 'sec-fetch-dest': 'empty' } })
  assert.equal(script.headers.get('content-type'), 'application/json; charset=utf-8')
})

test('S26: who may not come in is answered by this server and never reaches the program', async (t) => {
  let calls = 0
  const { target } = await startUpstream(t, (_request, response) => {
    calls += 1
    response.end()
  })
  const proxy = await proxyTo(t, target, {
    authorize: () => Promise.reject(new LabError('unauthorized')),
    page: (error) => ({ html: `<p>${error.code}</p>`, contentSecurityPolicy: "default-src 'none'" }),
  })
  const json = await fetch(`${proxy.url}/grafana/`)
  assert.deepEqual([json.status, ((await json.json()) as { code: string }).code], [401, 'unauthorized'])
  const page = await fetch(`${proxy.url}/grafana/`, { headers: { accept: 'text/html' } })
  assert.deepEqual([page.status, await page.text()], [401, '<p>unauthorized</p>'])
  assert.equal(page.headers.get('content-security-policy'), "default-src 'none'")
  const socket = await rawCall(t, proxy.port, handshake('/grafana/api/live/ws'))
  assert.equal(socket.status, 401)
  assert.equal(calls, 0)
})

test('S26: a client that leaves ends the request to the program, before and during the answer', async (t) => {
  const closed: string[] = []
  const { target } = await startUpstream(t, (request, response) => {
    response.once('close', () => closed.push(`${request.url} ${response.writableFinished}`))
    if (request.url?.endsWith('/stream')) response.write('first')
  })
  const proxy = await proxyTo(t, target)
  const leave = new AbortController()
  const waiting = fetch(`${proxy.url}/grafana/wait`, { signal: leave.signal })
  const upload = httpRequest(`${proxy.url}/grafana/upload`, { method: 'POST' })
  upload.on('error', () => {})
  upload.write('half a body')
  const stream = get(`${proxy.url}/grafana/stream`)
  const [answer] = (await once(stream, 'response')) as [IncomingMessage]
  await once(answer, 'data')
  leave.abort()
  await assert.rejects(waiting)
  stream.destroy()
  upload.destroy()
  await until('three closed', () => closed.length === 3)
  assert.deepEqual(closed.toSorted(), ['/grafana/stream false', '/grafana/upload false', '/grafana/wait false'])
})

test('U3: an answer that breaks off breaks off for the client too', async (t) => {
  const { target } = await startUpstream(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('a part', () => response.destroy())
  })
  const proxy = await proxyTo(t, target)
  const response = await fetch(`${proxy.url}/grafana/x`)
  assert.equal(response.status, 200)
  await assert.rejects(response.text())
})

test('W1: upgrades pass beside Socket.IO on the same server, refused ones with their answer', async (t) => {
  const heads: string[] = []
  const { target, server } = await startUpstream(t, echo)
  server.on('upgrade', (request, socket, head: Buffer) => {
    heads.push([request.url, request.headers['x-webauth-user'], request.headers.host].join(' '))
    if (request.url === '/grafana/no') {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nX-Reason: origin\r\n\r\nrefused')
      return
    }
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: yes\r\n\r\n',
    )
    if (head.length > 0) socket.write(head)
    socket.pipe(socket)
  })
  const proxy = await proxyTo(t, target, { withSocketIo: true })
  const open = await rawCall(t, proxy.port, `${handshake('/grafana/api/live/ws')}early`)
  assert.equal(open.status, 101)
  assert.match(open.head, /sec-websocket-accept: yes/i)
  open.socket.write(' and late')
  await until('the echo', () => open.rest() === 'early and late')
  const refused = await rawCall(t, proxy.port, handshake('/grafana/no'))
  assert.equal(refused.status, 403)
  assert.match(refused.head, /x-reason: origin/i)
  await until('its body', () => refused.rest() === 'refused')
  assert.deepEqual(heads, [`/grafana/api/live/ws ann 127.0.0.1`, `/grafana/no ann 127.0.0.1`])

  const client = io(proxy.url, { path: '/server/socket.io', transports: ['websocket'], reconnection: false })
  t.after(() => client.close())
  assert.equal(await client.timeout(5000).emitWithAck('say', 'hello'), 'hello')

  const alien = await rawCall(t, proxy.port, handshake('/elsewhere'))
  assert.equal(alien.status, 404)
  await until('it is cut', () => alien.socket.destroyed)
})

test('W1: a socket dies at both ends when either end dies, and when this server stops', async (t) => {
  const ends: import('node:stream').Duplex[] = []
  const { target, server } = await startUpstream(t, echo)
  server.on('upgrade', (_request, socket) => {
    socket.on('error', () => {}).on('end', () => socket.end())
    socket.resume()
    ends.push(socket)
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
  })
  const proxy = await proxyTo(t, target)
  const first = await rawCall(t, proxy.port, handshake('/grafana/ws'))
  first.socket.destroy()
  await until('upstream end closed', () => ends[0]?.destroyed ?? false)
  const second = await rawCall(t, proxy.port, handshake('/grafana/ws'))
  ends[1]?.destroy()
  await until('client end closed', () => second.socket.destroyed)
  const third = await rawCall(t, proxy.port, handshake('/grafana/ws'))
  await proxy.stop()
  await until('both ends closed', () => third.socket.destroyed && (ends[2]?.destroyed ?? false))
})

test('W1: no program behind the path answers a handshake with 503', async (t) => {
  const gone = await startUpstream(t, echo)
  const address = gone.target()
  await new Promise((resolve) => gone.server.close(resolve))
  const proxy = await proxyTo(t, () => address)
  const refused = await rawCall(t, proxy.port, handshake('/grafana/api/live/ws'))
  assert.equal(refused.status, 503)
  await until('its body', () => refused.rest().includes('grafana_unavailable'))
})

test('U3: connections to the program are used again, and given up before it gives them up', async (t) => {
  const { target } = await startUpstream(t, echo, (server) => {
    server.keepAliveTimeout = 60_000
    server.on('connection', (socket) => {
      connections += 1
      socket.once('close', () => {
        closed += 1
      })
    })
  })
  let connections = 0
  let closed = 0
  const proxy = await proxyTo(t, target)
  for (let round = 0; round < 5; round += 1) await seenThrough(`${proxy.url}/grafana/`)
  assert.deepEqual([connections, closed], [1, 0])
  await until('it is closed', () => closed === 1)
})

function handshake(path: string): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'X-WEBAUTH-USER: admin',
    '',
    '',
  ].join('\r\n')
}
