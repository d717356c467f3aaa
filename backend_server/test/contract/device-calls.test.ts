import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { type Lab, startLab } from '../start-lab.ts'
import { deviceCallCases } from './device-call-cases.ts'
import { assertShape } from './documented-shapes.ts'
import { assertEnvelope } from './raw-call.ts'

const apiKey = 'shared-key-of-this-lab'
type Body = Record<string, unknown>

const key = { command: 'press_key', params: { key: 'OK' } }

/** The web app sends no token and no identity, only the team in the query. */
const asReact = (path: string): string => `/server/${path}?team_id=${defaultTeamId}`

/** One host with a box and a browser; original hosts get every call unchanged. */
const startControlLab = (t: Parameters<typeof startLab>[0], original: boolean): Promise<Lab> =>
  startLab(t, { host: { original, apiKey, browser: true }, env: { API_KEY: apiKey } })

for (const original of [true, false]) {
  test(`api-core.md 4: every call the web app makes, on ${original ? 'an original host' : 'an agent'}`, async (t) => {
    const lab = await startControlLab(t, original)
    const [host] = lab.hosts
    assert.ok(host)
    for (const one of deviceCallCases) {
      await t.test(`POST /server/${one.path}`, async () => {
        const target = one.device === 'host' ? { host_name: 'lab-1' } : { host_name: 'lab-1', device_id: 'device1' }
        const before = host.calls.seen.length
        const answer = await lab.post(asReact(one.path), { ...target, ...one.body, unknown_field: 'ignored' })
        assert.equal(answer.status, 200, answer.text)
        assert.equal(answer.body.success, true, answer.text)
        assertShape(answer.body, one.shape, one.path)
        if (!original && one.path === 'verification/text/saveText') return
        assert.equal(host.calls.seen.length, before + 1, 'one call each')
        const asked = host.calls.last(`/host/${one.host}`)
        assert.equal(asked.method, one.hostMethod ?? 'POST')
        assert.equal(asked.query.team_id, defaultTeamId)
        assert.equal(asked.query.device_id, one.device ?? 'device1')
        if (one.hostMethod === 'GET') return
        assert.deepEqual(
          [asked.body.host_name, asked.body.device_id, asked.body.team_id],
          ['lab-1', one.device ?? 'device1', defaultTeamId],
        )
        for (const [name, value] of Object.entries(one.arrives ?? {})) assert.deepEqual(asked.body[name], value, name)
        assert.equal(asked.body.unknown_field, undefined, 'what the schema does not know is not handed on')
        if (original) assert.equal(asked.body.token, undefined, 'original hosts get no field they do not know')
      })
    }
  })
}

test('hosts.md 7: what goes wrong between server and host, as the web app reads it', async (t) => {
  const lab = await startControlLab(t, true)
  const [host] = lab.hosts
  assert.ok(host)
  const press = (body: Body = {}) =>
    lab.post(asReact('remote/executeCommand'), { host_name: 'lab-1', device_id: 'device1', ...key, ...body })

  await t.test('host_name missing or unknown is 400, an unknown device 404', async () => {
    const missing = await lab.post(asReact('remote/executeCommand'), key)
    assertEnvelope(missing, 'missing')
    assert.deepEqual([missing.status, missing.body.code], [400, 'host_required'])
    const unknown = await press({ host_name: 'no-such-host' })
    assert.deepEqual(
      [unknown.status, unknown.body.code, unknown.body.error],
      [400, 'host_not_found', 'Host "no-such-host" not found'],
    )
    const noDevice = await press({ device_id: 'device9' })
    assert.deepEqual(
      [noDevice.status, noDevice.body.code, noDevice.body.errorType],
      [404, 'device_not_found', 'device_not_found'],
    )
  })
  await t.test('host_name may stand in the query', async () => {
    const path = `${asReact('remote/executeCommand')}&host_name=lab-1&device_id=device1`
    assert.equal((await lab.post(path, key)).status, 200)
  })
  await t.test('a missing field is 400 and never reaches the host', async () => {
    const before = host.calls.seen.length
    const answer = await lab.post(asReact('remote/tapCoordinates'), { host_name: 'lab-1', x: 1 })
    assert.deepEqual([answer.status, answer.body.code], [400, 'validation_error'])
    assert.equal(host.calls.seen.length, before)
  })
  await t.test('a command that failed is 200 with success false and an error', async () => {
    const answer = await press({ command: 'fail_key' })
    assert.deepEqual([answer.status, answer.body.success, answer.body.error], [200, false, 'no such key'])
  })
  await t.test('a failure of the host keeps its status and fields', async () => {
    host.calls.override = () => ({
      status: 404,
      body: { success: false, error: 'no power controller', available_capabilities: ['av'] },
    })
    const answer = await lab.post(asReact('power/getStatus'), { host_name: 'lab-1' })
    assertEnvelope(answer, 'failure')
    assert.deepEqual(
      [answer.status, answer.body.code, answer.body.error, answer.body.available_capabilities],
      [404, 'host_error', 'no power controller', ['av']],
    )
  })
  await t.test('a route that the host does not have is no unknown route of this server', async () => {
    host.calls.override = () => ({
      status: 404,
      body: { success: false, error: 'There is no such route.', code: 'route_not_found' },
    })
    const answer = await press()
    assert.deepEqual([answer.status, answer.body.code, answer.body.error], [404, 'host_error', 'This host does not offer that.'])
  })
  await t.test('a 401 of the host is 502: it is no matter of the browser', async () => {
    host.calls.override = () => ({ status: 401, body: { error: 'Invalid API key' } })
    const answer = await press()
    assert.deepEqual([answer.status, answer.body.code, answer.body.errorType], [502, 'host_error', 'host_error'])
    host.calls.override = undefined
  })
  await t.test('a host that cannot be reached is 503, and one that is offline too', async () => {
    await host.kill()
    const answer = await press()
    assertEnvelope(answer, 'unreachable')
    assert.deepEqual([answer.status, answer.body.code, answer.body.errorType], [503, 'host_unreachable', 'network_error'])
    await lab.post('/server/system/unregister', { host_name: 'lab-1' }, { headers: { 'x-api-key': apiKey } })
    const offline = await press()
    assert.deepEqual([offline.status, offline.body.code, offline.body.errorType], [503, 'host_offline', 'network_error'])
  })
})

test('hosts.md 7: a host that does not answer is 504 after the limit of its route', async (t) => {
  const lab = await startControlLab(t, true)
  const [host] = lab.hosts
  assert.ok(host)
  host.calls.override = () => new Promise(() => undefined)
  const began = performance.now()
  const answer = await lab.post(asReact('av/getStreamUrl'), { host_name: 'lab-1' })
  assert.deepEqual([answer.status, answer.body.code, answer.body.errorType], [504, 'host_timeout', 'network_error'])
  assert.match(String(answer.body.error), /timed out \(timeout=5s\)/)
  assert.ok(performance.now() - began < 40_000)
})

test('what is not on the list is no route, whatever the host offers', async (t) => {
  const lab = await startControlLab(t, true)
  for (const path of [
    'remote/anything',
    'av/connect',
    'restart/analyzeAudio',
    'ai/executePlan',
    'host/remote/executeCommand',
    'translate/text',
  ]) {
    const answer = await lab.post(asReact(path), { host_name: 'lab-1' })
    assert.deepEqual([answer.status, answer.body.code], [404, 'route_not_found'], path)
  }
  assert.equal(lab.hosts[0]?.calls.seen.length, 0)
})

test('a browser that cannot reach the host finds its media on this server', async (t) => {
  const lab = await startControlLab(t, false)
  const answer = await lab.post<{ stream_url: string; media: Body }>(asReact('av/getStreamUrl'), { host_name: 'lab-1' })
  assert.equal(answer.body.stream_url, '/host/stream/capture1/segments/output.m3u8')
  assert.equal(answer.body.media.stream_url, '/server/hosts/lab-1/stream/capture1/segments/output.m3u8')
  assert.equal(answer.body.media.mjpeg_url, '/server/hosts/lab-1/stream/capture1/live.mjpeg')
  // And the address of this server is understood again where a picture is named.
  const [host] = lab.hosts
  await lab.post(asReact('verification/text/detectText'), {
    host_name: 'lab-1',
    image_source_url: '/server/hosts/lab-1/stream/capture1/captures/x.jpg',
  })
  assert.equal(
    host?.calls.last('/host/verification/text/detectText').body.image_source_url,
    '/host/stream/capture1/captures/x.jpg',
  )
})
