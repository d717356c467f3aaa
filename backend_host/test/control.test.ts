import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onePixel } from './fakes/fake-driver.ts'
import { type LabWithAgent, startLabWithAgent } from './start-agent.ts'

const browser = { HOST_MODEL: 'web', HOST_WEB_BROWSER_PATH: '/usr/bin/chromium' }

async function post(lab: LabWithAgent, path: string, headers: Record<string, string>) {
  const response = await fetch(`${lab.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: '{}',
  })
  return { status: response.status, body: await response.json() }
}

test('T27: every /host/* path wants the key, with the words of original hosts; health does not', async (t) => {
  const lab = await startLabWithAgent(t, { API_KEY: 'a-shared-key-of-the-lab' })
  const missing = { status: 401, body: { error: 'Authentication required', message: 'X-API-Key header is required' } }
  const wrong = { status: 401, body: { error: 'Invalid API key', message: 'Authentication failed' } }
  const paths = [
    '/host/script/execute',
    '/host/takeControl',
    '/host/av/takeScreenshot',
    '/host/nothing',
    '/%68ost/takeControl',
    '/host/takeControl/',
  ]
  for (const path of paths) {
    assert.deepEqual(await post(lab, path, {}), missing, path)
    assert.deepEqual(await post(lab, path, { 'x-api-key': 'not the key' }), wrong, path)
  }
  const callKey = lab.server.registrations[0]?.call_key ?? ''
  for (const key of [callKey, 'a-shared-key-of-the-lab']) {
    assert.equal((await post(lab, '/host/takeControl', { 'x-api-key': key })).status, 200)
    const unknown = await post(lab, '/host/nothing', { 'x-api-key': key })
    assert.equal(unknown.status, 404)
    assert.equal((unknown.body as { code: string }).code, 'route_not_found')
  }
  const health = (await (await fetch(`${lab.url}/host/system/health`)).json()) as Record<string, unknown>
  assert.equal(health.status, 'ok')
  assert.equal(health.mode, 'host')
  assert.equal(health.host_name, 'test-host')
  assert.equal(typeof health.timestamp, 'number')
  assert.ok(!JSON.stringify(health).includes(callKey))
  assert.ok(!lab.logText().includes(callKey) && !lab.logText().includes('a-shared-key'), 'no key in the log')
})

test('control calls have the shapes of the protocol', async (t) => {
  const lab = await startLabWithAgent(t, browser)
  const call = (path: string, body: unknown) => lab.server.callAgent(path, body)
  assert.deepEqual(await call('/host/takeControl', { device_id: 'device1' }), {
    status: 200,
    body: { success: true, available_controllers: ['av', 'remote'] },
  })
  assert.equal(lab.drivers.device1?.isOpen, true)
  assert.deepEqual(await call('/host/takeControl', { device_id: 'host' }), {
    status: 200,
    body: { success: true, available_controllers: [] },
  })
  assert.deepEqual(await call('/host/releaseControl', { device_id: 'device1' }), { status: 200, body: { success: true } })

  const pressed = await call('/host/remote/executeCommand', {
    device_id: 'device1',
    command: 'press_key',
    params: { key: 'OK' },
    team_id: 'x',
  })
  assert.equal(pressed.status, 200)
  assert.deepEqual(
    { ...pressed.body, execution_time: 0 },
    { success: true, message: 'done', device_id: 'device1', execution_time: 0 },
  )
  const refused = await call('/host/remote/executeCommand', { device_id: 'device1', command: 'unknown' })
  assert.equal(refused.status, 200)
  assert.equal(refused.body.success, false)

  const remote = await call('/host/remote/takeScreenshot', { device_id: 'device1' })
  assert.deepEqual(remote, {
    status: 200,
    body: { success: true, device_id: 'device1', screenshot: onePixel.toString('base64') },
  })
  const web = await call('/host/web/navigateToUrl', { url: 'http://127.0.0.1/', device_id: 'device1' })
  assert.equal(web.status, 200)
  assert.deepEqual([web.body.success, web.body.error, typeof web.body.execution_time], [true, null, 'number'])
  const failed = await call('/host/web/executeCommand', { command: 'unknown', params: {} })
  assert.deepEqual([failed.status, failed.body.success, failed.body.error], [200, false, 'unknown command'])
  assert.deepEqual(
    lab.drivers.host?.commands.map(({ command }) => command),
    ['navigate_to_url', 'unknown'],
  )
})

test('wrong calls are refused by name: missing field, unknown device, missing controller', async (t) => {
  const lab = await startLabWithAgent(t)
  const cases: [string, Record<string, unknown>, number, string][] = [
    ['/host/remote/executeCommand', { device_id: 'device1' }, 400, 'Missing required fields: command'],
    ['/host/web/navigateToUrl', {}, 400, 'Missing required fields: url'],
    ['/host/remote/executeCommand', { device_id: 'device9', command: 'x' }, 404, 'This host has no such device.'],
    ['/host/takeControl', { device_id: '../x' }, 404, 'This host has no such device.'],
    ['/host/power/executeCommand', { device_id: 'device1', command: 'reboot' }, 404, 'Device device1 has no power controller.'],
    ['/host/web/executeCommand', { command: 'x' }, 404, 'This host has no such device.'],
  ]
  for (const [path, body, status, error] of cases) {
    const answer = await lab.server.callAgent(path, body)
    assert.deepEqual([answer.status, answer.body.success, answer.body.error], [status, false, error], path)
    assert.equal(answer.body.message, error)
    assert.ok(answer.body.request_id)
  }
  const lacking = await lab.server.callAgent('/host/power/executeCommand', { device_id: 'device1', command: 'reboot' })
  assert.deepEqual(lacking.body.available_capabilities, ['av', 'remote', 'verification'])
  const word = await lab.server.callAgent('/host/power/executeCommand', { device_id: 'device1', command: 'explode' })
  assert.equal(word.status, 400)
})

test('hostile bodies are refused, never a 500', async (t) => {
  const lab = await startLabWithAgent(t)
  const key = lab.server.registrations[0]?.call_key ?? ''
  const deep = `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`
  const bodies = [
    '',
    '{',
    'null',
    '[]',
    '5',
    '"text"',
    deep,
    `{"device_id":${deep}}`,
    `{"device_id":"${'x'.repeat(500_000)}"}`,
    '{"__proto__":{"device_id":"device1"}}',
    '\u0000',
  ]
  const paths = [
    '/host/script/execute',
    '/host/runs/not-a-uuid/cancel',
    '/host/takeControl',
    '/host/releaseControl',
    '/host/remote/executeCommand',
    '/host/remote/takeScreenshot',
    '/host/web/executeCommand',
    '/host/web/navigateToUrl',
    '/host/av/takeScreenshot',
    '/host/power/executeCommand',
  ]
  for (const path of paths) {
    for (const body of bodies) {
      const response = await fetch(`${lab.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': key },
        body,
      })
      const answer = (await response.json()) as Record<string, unknown>
      assert.ok(response.status < 500, `${path} ${body.slice(0, 40)}: ${response.status}`)
      if (response.status >= 400) assert.equal(answer.success, false)
    }
  }
})

test('a screenshot is served to browsers without key as JPEG, and nothing else of the folder is', async (t) => {
  const lab = await startLabWithAgent(t)
  const { status, body } = await lab.server.callAgent('/host/av/takeScreenshot', { device_id: 'device2' })
  assert.equal(status, 200)
  assert.equal(body.screenshot_url, '/host/stream/capture2/captures/verification_source.jpg')
  const response = await fetch(`${lab.url}${String(body.screenshot_url)}`)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'image/jpeg')
  assert.equal(response.headers.get('access-control-allow-origin'), '*')
  const bytes = Buffer.from(await response.arrayBuffer())
  assert.deepEqual([...bytes.subarray(0, 2)], [0xff, 0xd8])
  for (const path of [
    '/host/stream/capture1/captures/verification_source.jpg',
    '/host/stream/..%2f..%2fstate/captures/verification_source.jpg',
    '/host/stream/capture2/captures/..%2f..%2f..%2fstate%2ffences.json',
  ]) {
    const other = await fetch(`${lab.url}${path}`)
    assert.ok([401, 404].includes(other.status), `${path}: ${other.status}`)
  }
})
