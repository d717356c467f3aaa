import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { startLab } from '../start-lab.ts'
import { everyRoute, nobody, sampleRequest } from './every-route.ts'
import { assertEnvelope, closeRawConnections, type RawAnswer, rawCall } from './raw-call.ts'

after(closeRawConnections)

const allowedOrigins = [
  'http://localhost:5073',
  'https://localhost',
  'http://127.0.0.1:3000',
  'http://192.168.1.34',
  'https://192.168.10.200:8443',
  'https://lab.example.org',
  'http://console.example.org:8080',
]
const deniedOrigins = [
  'https://evil.example',
  'http://localhost.evil.example',
  'http://192.168.1.34.evil.example',
  'https://lab.example.org.evil.example',
  'http://lab.example.org',
  'https://sub.lab.example.org',
  'http://127.0.0.1.nip.io',
  'http://10.0.0.1',
  'null',
  'file://',
]

/** Node joins repeated headers with a comma, so one origin means that the header came once. */
function assertCors(answer: RawAnswer, origin: string | undefined, what: string) {
  assert.equal(answer.headers['access-control-allow-origin'], origin, what)
  if (origin !== undefined) assert.equal(answer.headers['access-control-allow-credentials'], 'true', what)
  assert.match(String(answer.headers.vary), /Origin/i, `${what}: caches must keep origins apart`)
}

test('README: CORS for the web app of a lab', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { CORS_ORIGINS: 'https://lab.example.org/, http://console.example.org:8080' } })

  await t.test('known origins are answered by name, with credentials, on answers and on failures', async () => {
    for (const origin of allowedOrigins) {
      for (const path of [
        '/server/health',
        '/health',
        '/server/system/getAllHosts',
        '/server/no-such-route',
        `/server/runs/${nobody.runId}`,
      ]) {
        assertCors(await rawCall(lab.url, 'GET', path, { headers: { origin } }), origin, `${origin} ${path}`)
      }
    }
  })

  await t.test('others get an answer without the permission to read it', async () => {
    for (const origin of deniedOrigins) {
      const answer = await rawCall(lab.url, 'GET', '/server/health', { headers: { origin } })
      assert.equal(answer.headers['access-control-allow-origin'], undefined, origin)
      assert.equal(answer.status, 200)
    }
    const none = await rawCall(lab.url, 'GET', '/server/health')
    assert.ok(!String(none.headers['access-control-allow-origin'] ?? '').includes('*'))
  })

  await t.test('preflights name the methods and headers of the protocol, on every route', async () => {
    for (const { route } of everyRoute) {
      const path = sampleRequest({ name: 'preflight', route: { ...route, body: undefined } }, nobody).path
      const headers = {
        origin: 'http://localhost:5073',
        'access-control-request-method': route.method,
        'access-control-request-headers': 'content-type,x-user-id',
      }
      const answer = await rawCall(lab.url, 'OPTIONS', path, { headers })
      assert.equal(answer.status, 204, `${path}: ${answer.text}`)
      assertCors(answer, 'http://localhost:5073', path)
      const methods = String(answer.headers['access-control-allow-methods']).split(/,\s*/)
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) assert.ok(methods.includes(method), method)
      const named = String(answer.headers['access-control-allow-headers']).toLowerCase().split(/,\s*/)
      for (const header of ['x-user-id', 'x-team-id', 'x-api-key', 'authorization', 'content-type', 'cache-control', 'pragma'])
        assert.ok(named.includes(header), header)
      assert.ok(Number(answer.headers['access-control-max-age']) > 0)
    }
    const denied = await rawCall(lab.url, 'OPTIONS', '/server/health', {
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' },
    })
    assert.equal(denied.headers['access-control-allow-origin'], undefined)
  })

  await t.test('an OPTIONS request that asks for nothing is no failure of the server', async () => {
    for (const headers of [{}, { origin: 'http://localhost:5073' }, { origin: 'https://evil.example' }] as Record<
      string,
      string
    >[]) {
      const answer = await rawCall(lab.url, 'OPTIONS', '/server/health', { headers })
      assert.ok(answer.status === 204 || answer.status === 405, answer.text)
      if (answer.status === 405) assertEnvelope(answer, 'OPTIONS')
    }
  })
})

test('security headers and no-store stand on every answer', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const answers: [string, RawAnswer][] = []
  for (const named of everyRoute) {
    const { path, body, raw, headers } = sampleRequest(named, nobody)
    const text = raw ?? (body && JSON.stringify(body))
    answers.push([
      named.name,
      await rawCall(lab.url, named.route.method, path, {
        headers: { 'content-type': 'application/json', ...headers },
        ...(text !== undefined && { body: text }),
      }),
    ])
  }
  answers.push(['unknown route', await rawCall(lab.url, 'GET', '/server/nothing')])
  answers.push(['wrong method', await rawCall(lab.url, 'PUT', '/server/health')])
  answers.push([
    'bad JSON',
    await rawCall(lab.url, 'POST', '/server/system/ping', { headers: { 'content-type': 'application/json' }, body: '{' }),
  ])
  answers.push(['root', await rawCall(lab.url, 'GET', '/')])
  answers.push(['contract', await rawCall(lab.url, 'GET', '/server/openapi.json')])
  for (const [name, { headers }] of answers) {
    assert.equal(headers['cache-control'], 'no-store', name)
    assert.equal(headers['x-content-type-options'], 'nosniff', name)
    assert.equal(headers['x-frame-options'], 'SAMEORIGIN', name)
    assert.match(String(headers['content-security-policy']), /default-src/, name)
    assert.equal(headers['referrer-policy'], 'no-referrer', name)
    assert.equal(headers['x-powered-by'], undefined, name)
    assert.equal(headers.server, undefined, name)
    assert.match(String(headers['x-request-id']), /^[0-9a-f-]{36}$/, name)
    assert.equal(headers['strict-transport-security'], undefined, `${name}: this lab speaks plain HTTP`)
  }
  const secure = await startLab(t, { hosts: 0, env: { SERVER_URL: 'https://lab.example.org' } })
  assert.match(String((await rawCall(secure.url, 'GET', '/health')).headers['strict-transport-security']), /max-age=/)
})

test('README: team_id comes once, twice, empty first, with a tail, or not at all', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const { teamId } = await lab.addTeam('other')
  const cases: [string, string | null][] = [
    ['', null],
    ['?team_id=', null],
    ['?team_id=nonsense', null],
    ['?team_id=null', null],
    [`?team_id=${teamId}`, teamId],
    [`?team_id=${teamId.toUpperCase()}`, teamId],
    [`?team_id=&team_id=${teamId}`, teamId],
    [`?team_id=nonsense&team_id=${teamId}`, teamId],
    [`?team_id=${teamId}&team_id=${defaultTeamId}`, teamId],
    [`?team_id=${teamId}&team_id=`, teamId],
    [`?team_id=${teamId}?v=17`, teamId],
    [`?team_id=${teamId}%3Fv%3D17`, teamId],
    [`?team_id=${teamId}/some-id`, teamId],
    [`?team_id=${teamId}/some-id/members?x=1`, teamId],
    [`?include_actions=false&team_id=${teamId}`, teamId],
    [`?team_id[]=${teamId}`, null],
  ]
  // A token of a team shows in which team a question was asked.
  await lab.post(`/server/tokens?team_id=${teamId}`, { name: 'only in the other team' })
  for (const [query, expected] of cases) {
    for (const path of [`/server/health${query}`, `/health${query}`])
      assert.equal((await lab.get(path)).body.team_id, expected, path)
    const { tokens } = (await lab.get<{ tokens: { name: string }[] }>(`/server/tokens${query}`)).body
    assert.equal(
      tokens.some((token) => token.name === 'only in the other team'),
      expected === teamId,
      query,
    )
  }
})
