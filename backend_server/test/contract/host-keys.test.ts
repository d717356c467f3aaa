import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Lab, startLab } from '../start-lab.ts'
import { everyRoute, nobody, sampleRequest } from './every-route.ts'
import { assertEnvelope } from './raw-call.ts'
import { startScriptedHost } from './scripted-host.ts'
import { phoneHost } from './wire-examples.ts'

const apiKey = 'shared-key-of-this-lab'
const wrong = 'another-key-of-no-lab'
const hostRoutes = everyRoute.filter(({ route }) => route.access === 'host')

const keyHeader = (key: string | undefined): Record<string, string> => (key === undefined ? {} : { 'x-api-key': key })
const register = (lab: Lab, over: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
  lab.post('/server/system/register', { ...phoneHost, ...over }, { headers })
const from = (address: string, key?: string): Record<string, string> => ({ 'x-forwarded-for': address, ...keyHeader(key) })

async function issueKey(lab: Lab, name: string): Promise<string> {
  const answer = await lab.post<{ key: string }>('/server/hosts', { host_name: name })
  assert.equal(answer.status, 201, answer.text)
  assert.match(answer.body.key, /^vpth_[\w-]{32}$/)
  return answer.body.key
}

test('hosts.md 6, open registration: a stranger cannot redirect a host that is online', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { TRUSTED_PROXIES: '1', API_KEY: apiKey } })
  const listedUrl = async () =>
    (await lab.get<{ hosts: { host_url: string }[] }>('/server/system/getAllHosts')).body.hosts[0]?.host_url
  assert.equal((await register(lab, {}, from('10.0.0.1'))).status, 200)

  for (const change of [{ host_url: 'http://evil.example' }, { host_api_url: 'http://evil.example' }, { host_api_url: null }]) {
    const answer = await register(lab, change, from('10.0.0.2'))
    assert.equal(answer.status, 409, answer.text)
    assert.equal(answer.body.code, 'host_url_pinned')
    assertEnvelope(answer, 'register')
  }
  assert.equal(
    (await register(lab, { host_url: 'http://evil.example' }, from('10.0.0.1, 10.0.0.2'))).status,
    409,
    'a forged hop counts for nothing',
  )
  assert.equal((await register(lab, { host_url: 'http://evil.example' }, from('10.0.0.2', wrong))).status, 409)
  assert.equal(await listedUrl(), phoneHost.host_url)

  const goodbye = (address: string) => lab.post('/server/system/unregister', { host_name: 'lab-1' }, { headers: from(address) })
  const refused = await goodbye('10.0.0.2')
  assert.equal(refused.status, 403, 'a goodbye from elsewhere would open the way to another URL')
  assertEnvelope(refused, 'unregister')

  assert.equal((await register(lab, {}, from('10.0.0.2'))).status, 200, 'the same URL may come from anywhere')
  assert.equal(
    (await register(lab, { host_url: 'http://moved.example' }, from('10.0.0.3', apiKey))).status,
    200,
    'the key of the lab may move it',
  )
  assert.equal(await listedUrl(), 'http://moved.example')
  assert.equal(
    (await register(lab, { host_url: 'http://again.example' }, from('10.0.0.3'))).status,
    200,
    'so may the address it came from',
  )
  assert.equal((await goodbye('10.0.0.3')).status, 200)
  assert.equal(
    (await register(lab, { host_url: 'http://new.example' }, from('10.0.0.9'))).status,
    200,
    'an offline host may come back elsewhere',
  )
})

test('R6, T27: without a trusted proxy, X-Forwarded-For is nobody', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await register(lab, {}, from('10.0.0.1'))
  assert.equal((await register(lab, { host_url: 'http://moved.example' }, from('10.0.0.2'))).status, 200)
  await lab.addHost({ name: 'real' })
  await lab.post('/server/control/takeControl', { host_name: 'real', device_id: 'device1' }, { headers: from('10.9.9.9') })
  const { leases } = (await lab.get<{ leases: { holder: string }[] }>('/server/leases')).body
  assert.equal(leases[0]?.holder, '127.0.0.1')
})

test('hosts.md 6, B3: a host with a key of its own answers to that key, and the key to no other host', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { API_KEY: apiKey } })
  const own = await issueKey(lab, 'lab-1')
  const other = await issueKey(lab, 'lab-2')
  const calls: [string, (key: string | undefined) => Promise<{ status: number; text: string }>][] = [
    ['register', (key) => register(lab, {}, keyHeader(key))],
    ['ping', (key) => lab.post('/server/system/ping', { host_name: 'lab-1' }, { headers: keyHeader(key) })],
    ['unregister', (key) => lab.post('/server/system/unregister', { host_name: 'lab-1' }, { headers: keyHeader(key) })],
  ]
  for (const [name, call] of calls) {
    assert.equal((await call(undefined)).status, 401, `${name} without a key`)
    assert.equal((await call(wrong)).status, 401, `${name} with a wrong key`)
    assert.equal((await call(other)).status, 403, `${name} with the key of another host`)
    assert.equal((await call(own)).status, 200, `${name} with its own key`)
    assert.equal((await call(apiKey)).status, 200, `${name} with the key of the lab`)
  }
  assert.equal((await register(lab, { host_name: 'lab-3' }, keyHeader(other))).status, 403, 'nor does it make another host')
  assert.deepEqual((await lab.get<{ hosts: unknown[] }>('/server/system/getAllHosts')).body.hosts.length, 1)
  const renewed = await issueKey(lab, 'lab-1')
  assert.equal((await register(lab, {}, keyHeader(own))).status, 401, 'an exchanged key is worth nothing')
  assert.equal((await register(lab, {}, keyHeader(renewed))).status, 200)
})

test('HOST_REGISTRATION=key: no route of hosts answers without a key', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { HOST_REGISTRATION: 'key', API_KEY: apiKey, AUTH_MODE: 'required' } })
  const admin = await lab.addTeam('team a')
  const issued = await lab.post<{ key: string }>('/server/hosts', { host_name: 'lab-1' }, { token: admin.token })
  const own = issued.body.key
  assert.ok(hostRoutes.length >= 6)
  for (const named of hostRoutes) {
    await t.test(named.name, async () => {
      const { path, body, raw, headers } = sampleRequest(named, { ...nobody, hostName: 'lab-1' })
      const call = (extra: Record<string, string>) =>
        lab.call(named.route.method, path, { ...(raw === undefined ? { body } : { raw }), headers: { ...headers, ...extra } })
      const refusals: [string, Record<string, string>][] = [
        ['no key', {}],
        ['an empty key', keyHeader('')],
        ['a wrong key', keyHeader(wrong)],
        ['the token of a person', { authorization: `Bearer ${admin.token}` }],
        ['a key in the wrong header', { authorization: `Bearer ${apiKey}` }],
      ]
      for (const [what, extra] of refusals) {
        const answer = await call(extra)
        assert.equal(answer.status, 401, `${what}: ${answer.text}`)
        assert.equal(answer.body.code, 'unauthorized')
        assertEnvelope(answer, what)
        assert.doesNotMatch(answer.text, new RegExp(`${apiKey}|${own}`))
      }
      for (const key of [apiKey, own]) assert.notEqual((await call(keyHeader(key))).status, 401)
    })
  }
  await t.test('the team of a host is that of its key, never one it names', async () => {
    await register(lab, {}, keyHeader(own))
    const answer = await lab.post(
      `/server/system/register?team_id=${admin.teamId}`,
      { ...phoneHost, host_name: 'lab-9' },
      { headers: keyHeader(apiKey) },
    )
    assert.equal(answer.status, 200)
    const listed = await lab.get<{ hosts: { host_name: string }[] }>('/server/system/getAllHosts', { token: admin.token })
    assert.deepEqual(
      listed.body.hosts.map((host) => host.host_name),
      ['lab-1'],
    )
  })
})

test('hosts.md 6 and 7: hosts are called at their pinned address only, with the key agreed on', async (t) => {
  const stranger = await startScriptedHost(t, () => ({ status: 200, body: { success: true } }))
  const host = await startScriptedHost(t, ({ path }) =>
    path === '/pi2/host/takeControl'
      ? { status: 302, headers: { location: `${stranger.url}/host/takeControl` }, text: '' }
      : { status: 200, body: { success: true, available_controllers: ['av'] } },
  )
  const lab = await startLab(t, { hosts: 0, env: { API_KEY: apiKey } })
  const take = () => lab.post('/server/control/takeControl', { host_name: 'lab-1', device_id: 'device1' })

  await register(lab, { host_api_url: `${host.url}/`, host_url: 'http://public.example' })
  assert.equal((await take()).status, 200)
  const [call] = host.seen
  assert.equal(call?.path, '/host/takeControl', 'no doubled slash; host_api_url goes before host_url')
  assert.equal(call?.headers['x-api-key'], apiKey)
  assert.equal(call?.headers['content-type'], 'application/json')
  const team = '7fdeb4bb-3639-4ec3-959f-b54769a219ce'
  assert.deepEqual(call?.query, { team_id: team, device_id: 'device1' })
  assert.deepEqual(call?.body, { host_name: 'lab-1', device_id: 'device1', team_id: team })

  await register(lab, { host_api_url: host.url, call_key: 'key-of-this-agent-only' })
  await take()
  assert.equal(host.seen.at(-1)?.headers['x-api-key'], 'key-of-this-agent-only')

  await register(lab, { host_api_url: `${host.url}/pi2` })
  const redirected = await take()
  assert.equal(redirected.status, 502, 'a redirect would carry the key elsewhere')
  assert.deepEqual(stranger.seen, [])
})
