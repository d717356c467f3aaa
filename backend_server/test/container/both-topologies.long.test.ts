import assert from 'node:assert/strict'
import { test } from 'node:test'
import { everyRoute, nobody, sampleRequest } from '../contract/every-route.ts'
import { type Container, cannotStartContainers, type HttpAnswer, startContainer, untilHealthy } from './container.ts'
import { untilAllIsWell, untilRunning, withStandIn } from './watched-programs.ts'

const skip = cannotStartContainers()
const open = { AUTH_MODE: 'open', SERVER_NAME: 'lab', SERVER_URL: 'http://lab.example.org', ...withStandIn }

/** What may differ between two servers: the port of the API itself, times, ids of requests, figures of the moment, and what is by nature another program. */
const moving =
  /"(request_id|server_port|timestamp|server_time|uptime_seconds|started_at|created_at|updated_at|backup|pid|memory_bytes|programs|system_stats)":("[^"]*"|[-\d.e+]+|null|\{[^{}]*\}|\[.*\])/g
const headerNames = [
  'content-type',
  'cache-control',
  'allow',
  'access-control-allow-origin',
  'content-security-policy',
  'x-frame-options',
]

const comparable = ({ status, headers, text }: HttpAnswer) => ({
  status,
  headers: Object.fromEntries(headerNames.map((name) => [name, headers[name]])),
  text: text.replace(moving, '"$1":0'),
})

/** Paths beside the routes of the contract. Each with the number of answers that must not be a failure of a proxy. */
const paths = [
  '/',
  '/health',
  '/livez',
  '/readyz',
  '/server',
  '/server/',
  '/server/health',
  '/server/docs',
  '/server/openapi.json',
  '/server/nothing/here',
  '/server/grafana/',
  '/server//health',
  '/server/server/health',
  '/server/scripts/a%2Fb',
  '/server/hosts/%C3%A9%20x?team_id=%zz',
  '/console/nothing',
]

test('S10, S18, S21, S23, S27, P2, U4: both topologies give the same answer for every GET route and path', {
  skip,
}, async (t) => {
  const direct = await startContainer(t, { env: open })
  const nginx = await startContainer(t, { env: { ...open, TOPOLOGY: 'nginx' } })
  await untilHealthy(direct)
  await untilHealthy(nginx, 80)
  for (const container of [direct, nginx]) await untilRunning(container, ['api', 'grafana', 'postgres'])
  await untilAllIsWell(direct)
  await untilAllIsWell(nginx, 80)
  const ask = (path: string, ...options: string[]): [HttpAnswer, HttpAnswer] => [
    direct.http(`http://127.0.0.1:10000${path}`, ...options),
    nginx.http(`http://127.0.0.1${path}`, ...options),
  ]

  const routes = everyRoute.filter(({ route }) => route.method === 'GET')
  for (const path of [...routes.map((named) => sampleRequest(named, nobody).path), ...paths]) {
    await t.test(path, () => {
      const [one, other] = ask(path, '-H', 'Origin: http://localhost:3000')
      assert.deepEqual(comparable(other), comparable(one))
      assert.ok(one.status < 500 || one.status === 503, `${one.status} ${one.text}`)
    })
  }

  await t.test('U6: a preflight has one Access-Control-Allow-Origin', () => {
    const options = ['-X', 'OPTIONS', '-H', 'Origin: http://localhost:3000', '-H', 'Access-Control-Request-Method: POST']
    for (const answer of ask('/server/system/getAllHosts', ...options))
      assert.equal(answer.headers['access-control-allow-origin'], 'http://localhost:3000')
  })

  await t.test('U2: other methods and their bodies arrive', () => {
    const options = ['-X', 'POST', '-H', 'Content-Type: application/json', '--data-binary', '{"host_name":"nobody"}']
    const [one, other] = ask('/server/system/unregister', ...options)
    assert.deepEqual(comparable(other), comparable(one))
  })

  await t.test('S20, S21: nginx answers other paths itself, as JSON', () => {
    for (const path of ['/system/getAllHosts', '/favicon.ico', '/serverhealth']) {
      const answer = nginx.http(`http://127.0.0.1${path}`)
      assert.equal(answer.status, 404)
      assertEnvelope(answer, 'route_not_found')
    }
  })

  await t.test(
    'U8: 5 MB are accepted, one byte more is 413 of the API, and one more than nginx takes is 413 in the same form',
    () => {
      const limit = 5 * 1024 * 1024
      for (const [container, url] of [
        [direct, 'http://127.0.0.1:10000/server/system/unregister'],
        [nginx, 'http://127.0.0.1/server/system/unregister'],
      ] as const) {
        for (const bytes of [limit, limit + 1, limit + 1, limit + 1, 64 * 1024 * 1024 + 1]) {
          const fill = `printf '{"host_name":"nobody"'; head -c ${bytes - 22} /dev/zero | tr '\\0' ' '; printf '}'`
          container.exec('sh', '-c', `(${fill}) >/tmp/body`)
          const command = ['curl', '-sS', '-i', '--max-time', '60', '-H', 'Expect:', '-H', 'Content-Type: application/json']
          const { stdout, stderr } = container.exec(...command, '--data-binary', '@/tmp/body', url)
          const what = `${bytes} bytes to ${url}: ${stdout.slice(0, 300)} ${stderr}`
          if (bytes === limit) assert.match(stdout, /^HTTP\/1\.1 (200|404) /, what)
          else assert.match(stdout, /^HTTP\/1\.1 413 [\s\S]*"code":"payload_too_large"/, what)
          if (bytes > limit && bytes < 64 * 1024 * 1024) assert.match(stdout, /^x-request-id: /im, what)
        }
      }
    },
  )

  await t.test('W1: a WebSocket handshake passes in both', () => {
    const handshake = ['-H', 'Connection: Upgrade', '-H', 'Upgrade: websocket', '-H', 'Sec-WebSocket-Version: 13']
    const url = '/server/socket.io/?EIO=4&transport=websocket'
    for (const [container, base] of [
      [direct, 'http://127.0.0.1:10000'],
      [nginx, 'http://127.0.0.1'],
    ] as const) {
      const answer = container.http(
        `${base}${url}`,
        ...handshake,
        '-H',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        '--max-time',
        '2',
      )
      assert.equal(answer.status, 101, answer.text)
    }
  })

  await t.test('W3: the first event of a stream is not held back', () => {
    for (const [container, base] of [
      [direct, 'http://127.0.0.1:10000'],
      [nginx, 'http://127.0.0.1'],
    ] as const) {
      const answer = container.http(`${base}/server/events?rooms=team`, '-N', '--max-time', '2')
      assert.equal(answer.status, 200, answer.text)
      assert.notEqual(answer.text, '')
    }
  })

  await t.test('L6: a thousand health checks add no line', async () => {
    const command =
      'for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1/health -: -s -o /dev/null http://127.0.0.1/health?[2-10]; done'
    const count = (): number => Number(nginx.exec('sh', '-c', 'cat /var/log/supervisor/*.log | wc -l').stdout)
    const before = count()
    nginx.exec('bash', '-c', command)
    assert.ok(count() - before < 5, `${count() - before} new lines`)
  })

  await t.test('S21: while the API is away nginx says so as JSON, and it comes back', async () => {
    const { pid } = nginx.states().api ?? { pid: 0 }
    nginx.exec('kill', '-STOP', String(pid))
    nginx.exec('kill', '-KILL', String(pid))
    const answers = Array.from({ length: 5 }, () => nginx.http('http://127.0.0.1/server/system/getAllHosts'))
    const refused = answers.filter(({ status }) => [502, 503, 504].includes(status))
    assert.ok(refused.length > 0, answers.map(({ status }) => status).join())
    for (const answer of refused.filter(({ status }) => status === 502)) assertEnvelope(answer, 'not_ready')
    await untilHealthy(nginx, 80)
  })
})

function assertEnvelope({ headers, text }: HttpAnswer, code: string): void {
  assert.match(headers['content-type'] ?? '', /^application\/json/)
  const body = JSON.parse(text) as Record<string, unknown>
  assert.deepEqual(Object.keys(body), ['success', 'error', 'message', 'code', 'request_id'])
  assert.equal(body.code, code)
  assert.ok(String(body.request_id).length > 10)
}

test('S103, V7: programs, their memory and their logs over the API', { skip }, async (t) => {
  const container: Container = await startContainer(t, { env: open })
  await untilHealthy(container)
  await untilRunning(container, ['api', 'grafana', 'postgres'])
  await untilAllIsWell(container)
  const answer = container.http('http://127.0.0.1:10000/server/system/programs?lines=5')
  assert.equal(answer.status, 200, answer.text)
  const body = JSON.parse(answer.text) as { supervised: boolean; programs: Record<string, unknown>[] }
  assert.equal(body.supervised, true)
  const states = container.states()
  assert.deepEqual(Object.fromEntries(body.programs.map(({ name, state, pid }) => [String(name), { state, pid }])), states)
  for (const program of body.programs) {
    assert.ok(Number(program.memory_bytes) > 5_000_000, JSON.stringify(program))
    assert.ok(Array.isArray(program.log) && program.log.length > 0 && program.log.length <= 5, JSON.stringify(program))
  }
})
