import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import net, { type AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { onePixelJpeg } from '../fakes/fake-device-calls.ts'
import { startLab, until } from '../start-lab.ts'
import { everyRoute, type Facts, nobody, sampleRequest } from './every-route.ts'
import { closeRawConnections, type RawAnswer, rawCall } from './raw-call.ts'

after(closeRawConnections)

/** Ways to write the same address: nginx strips the prefix, some clients double it or end it with a slash. */
const spellings: [string, (path: string) => string][] = [
  ['without the prefix', (path) => path.replace(/^\/server/, '')],
  ['with a doubled prefix', (path) => `/server${path}`],
  ['with a tripled prefix', (path) => `/server/server${path}`],
  ['with a trailing slash', (path) => path.replace(/(\?|$)/, '/$1')],
  ['without the prefix, with a trailing slash', (path) => path.replace(/^\/server/, '').replace(/(\?|$)/, '/$1')],
  ['with doubled slashes in front', (path) => `/${path}`],
]

/** What may differ between two answers to the same question: ids of requests, and time. */
const moving =
  /"(request_id|timestamp|server_time|uptime_seconds|last_seen|last_used_at|lockedDuration|cpu_percent|memory_percent|memory_used_gb|disk_percent|disk_used_gb|disk_write_mb_per_sec|process_memory_mb|memory_bytes|age_hours|deleted_count|load_average_\d+m)":("[^"]*"|[-\d.e+]+|null)/g

const comparable = ({ status, headers, text }: RawAnswer) => ({
  status,
  type: headers['content-type'],
  allow: headers.allow,
  text: text.replace(moving, '"$1":0'),
})

test('S23: every route gives the same answer with and without the prefix, doubled, and with a trailing slash', async (t) => {
  const lab = await startLab(t, { env: { TRUSTED_PROXIES: '1' } })
  const run = await lab.post('/server/script/execute', { host_name: 'lab-1', device_id: 'device1', script_name: 'zapping.ts' })
  const runId = String(run.body.run_id)
  await until('the run has its report', async () => (await lab.get(`/server/runs/${runId}/report`)).status === 200)
  const { artifacts } = (await lab.get<{ artifacts: { id: string }[] }>(`/server/runs/${runId}`)).body
  const target = { host_name: 'lab-1', device_id: 'device1' }
  const batch = await lab.post('/server/action/executeBatch', { ...target, actions: [{ command: 'press_key' }] })
  const executionId = String(batch.body.execution_id)
  const status = `/server/action/execution/${executionId}/status`
  await until('the batch has ended', async () => (await lab.get(status)).body.status === 'completed')
  const picture = { image_source_url: '/host/stream/capture1/captures/a.jpg', reference_name: 'a', userinterface_name: 'tv' }
  const saved = await lab.post('/server/verification/image/saveImage', { ...target, ...picture })
  const referenceId = String(saved.body.reference_id)
  const someone = (address: string) => ({ headers: { 'x-forwarded-for': address } })
  await lab.post('/server/control/takeControl', { host_name: 'lab-1', device_id: 'device1' }, someone('10.0.0.1'))
  const asked = await lab.post<{ ask: { id: string } }>('/server/devices/lab-1/device1/ask', {}, someone('10.0.0.2'))
  const askId = asked.body.ask.id
  const alertId = randomUUID()
  const started_at = new Date().toISOString()
  const report = {
    id: alertId,
    device_id: 'device1',
    type: 'errors',
    status: 'active',
    consecutive_count: 1,
    started_at,
    ended_at: null,
    evidence: {},
    thumbnails: { start: onePixelJpeg },
  }
  const reported = await lab.post('/server/alerts/report', { host_name: 'lab-1', alerts: [report] })
  assert.equal(reported.status, 200, reported.text)
  const real: Facts = {
    ...nobody,
    hostName: 'lab-1',
    runId,
    artifactId: artifacts[0]?.id ?? '',
    executionId,
    referenceId,
    askId,
    alertId,
  }

  for (const named of everyRoute) {
    await t.test(`${named.route.method} ${named.route.path}`, async () => {
      // Reads are asked about what is there; writes about what is not, so that asking often changes nothing.
      const reads = named.route.method === 'GET'
      const { path, body, raw, headers } = sampleRequest(named, reads ? real : nobody)
      const writesAnyway = ['hosts.register', 'hosts.addHost', 'tokens.create', 'teams.create'].includes(named.name)
      const text = writesAnyway ? '{}' : (raw ?? (body && JSON.stringify(body)))
      const request = {
        headers: { ...(text !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(text !== undefined && { body: text }),
      }
      const expected = await rawCall(lab.url, named.route.method, path, request)
      assert.notEqual(expected.body.code, 'route_not_found', expected.text)
      assert.ok(expected.status < 300 || expected.status >= 400, `redirected with ${expected.status}`)
      if (reads && named.name !== 'events.stream') assert.equal(expected.status, 200, expected.text)
      for (const [how, spell] of spellings) {
        const answer = await rawCall(lab.url, named.route.method, spell(path), request)
        assert.deepEqual(comparable(answer), comparable(expected), `${how}: ${spell(path)}`)
      }
    })
  }

  await t.test('paths that are no routes stay apart from those that are', async () => {
    for (const path of [
      '/serverhealth',
      '/server/serverhealth',
      '/server/healt',
      '/server/health/extra',
      '/Server/health',
      '/server/HEALTH',
      '/server/system',
    ]) {
      assert.equal((await rawCall(lab.url, 'GET', path)).body.code, 'route_not_found', path)
    }
    const root = await rawCall(lab.url, 'GET', '/')
    assert.deepEqual(root.body, { service: 'virtualpytest-server', status: 'ok', prefixes: ['/server', '/grafana', '/health'] })
    assert.equal((await rawCall(lab.url, 'GET', '/server')).text, root.text)
    assert.equal((await rawCall(lab.url, 'GET', '/server/')).text, root.text)
  })
})

test('COMPAT_PORT: original hosts find the same routes at a second port', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { COMPAT_PORT: String(await freePort()) } })
  const compat = `http://127.0.0.1:${lab.config.compatPort}`
  for (const path of ['/server/livez', '/livez', '/server/server/livez/', '/server/nothing', '/server/system/getAllHosts']) {
    const [main, second] = await Promise.all([rawCall(lab.url, 'GET', path), rawCall(compat, 'GET', path)])
    assert.deepEqual(comparable(second), comparable(main), path)
  }
  const body = JSON.stringify({ host_name: 'original', host_url: 'http://127.0.0.1:1', devices: [] })
  const registered = await rawCall(compat, 'POST', '/server/system/register', {
    headers: { 'content-type': 'application/json' },
    body,
  })
  assert.equal(registered.status, 200, registered.text)
})

/** This listener cannot take any port: hosts must know it. */
async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
