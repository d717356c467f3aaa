import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { type Lab, startLab } from '../start-lab.ts'
import { assertEnvelope, closeRawConnections, rawCall } from './raw-call.ts'
import { startScriptedHost } from './scripted-host.ts'

after(closeRawConnections)

/** A program beside the lab that nobody may reach through the server, or a host that must not be asked for certain things. */
const startCanary = (t: TestContext) => startScriptedHost(t, () => ({ status: 200, body: { success: true, execution_id: 'x' } }))

const register = (lab: Lab, host_name: string, host_url: string, more: object = {}) =>
  lab.post('/server/system/register', {
    host_name,
    host_url,
    devices: [{ device_id: 'device1', device_name: 'Box', device_model: 'stb', device_capabilities: { remote: 'ir_remote' } }],
    ...more,
  })

test('SSRF by registration: a host with an address outside HOST_NETWORKS is called by no route, however it is written', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { HOST_NETWORKS: 'private' } })
  const canary = await startCanary(t)
  const { port } = new URL(canary.url)
  const addresses = [
    '127.0.0.1',
    'localhost',
    '127.1',
    '2130706433',
    '0x7f.1',
    '0177.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '0.0.0.0',
    '169.254.169.254',
    'user:password@127.0.0.1',
  ]
  const target = { device_id: 'device1', session_id: 'me' }
  let refused = 0
  for (const [index, address] of addresses.entries()) {
    const host_name = `ssrf-${index}`
    const url = `http://${address}:${port}`
    const registered = await register(lab, host_name, url, { host_api_url: url, call_key: 'call-key-of-this-start' })
    if (registered.status === 400) continue
    assert.equal(registered.status, 200, `${address}: ${registered.text}`)
    const calls: [string, object][] = [
      ['control/takeControl', {}],
      ['remote/executeCommand', { command: 'press_key' }],
      ['av/getStreamUrl', {}],
      ['action/executeBatch', { actions: [{ command: 'press_key' }] }],
    ]
    for (const [path, body] of calls) {
      const answer = await lab.post(`/server/${path}`, { host_name, ...target, ...body })
      assertEnvelope(answer, path)
      assert.deepEqual([answer.status, answer.body.code], [502, 'host_address_refused'], `${address} ${path}: ${answer.text}`)
      refused += 1
    }
    const media = await lab.get(`/server/hosts/${host_name}/stream/capture1/captures/x.jpg`)
    assert.equal(media.body.code, 'host_address_refused', media.text)
  }
  assert.ok(refused > 0)
  assert.deepEqual(canary.seen, [], 'nothing was sent')
})

/** Ways out of a folder, as they stand in an address. */
const waysOut = [
  '..',
  '.',
  '..%2fx',
  '%2e%2e',
  '%2e%2e%2fx',
  '%252e%252e',
  '%252e%252e%252fx',
  '..%252fx',
  '..%5cx',
  '..\\x',
  '%5c%5cserver%5cshare',
  'C:%5cx',
  '%2fetc%2fpasswd',
  '%2f%2fetc',
  'x%00',
  '%00',
  'x%0d%0ay',
  '%c0%ae%c0%ae',
  '%c0%afx',
  '%e0%80%af',
  '%uff0e%uff0e',
  '....%2f%2fx',
  '..;',
  '..%3bx',
  '.hidden',
]

test('traversal in addresses of media: no part of the path leads out, however it is encoded', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const host = await startCanary(t)
  assert.equal((await register(lab, 'lab-1', host.url)).status, 200)
  const base = '/server/hosts/lab-1/stream'
  const places = (way: string): string[] => [
    `${base}/${way}/captures/x.jpg`,
    `${base}/capture1/${way}/x.jpg`,
    `${base}/capture1/captures/${way}`,
    `${base}/capture1/captures/${way}.jpg`,
    `${base}/capture1/captures/${way}/x.jpg`,
    `${base}/capture1/captures/cropped/${way}.jpg`,
    `${base}/capture1/captures/${way}/${way}/x.jpg`,
    `/server/hosts/${way}/stream/capture1/captures/x.jpg`,
  ]
  const plain = await rawCall(lab.url, 'GET', `${base}/capture1/captures/cropped/x.jpg`)
  assert.equal(plain.status, 200, 'the plain form of it works')
  const before = host.seen.length
  for (const way of waysOut) {
    for (const path of places(way)) {
      const { status, text } = await rawCall(lab.url, 'GET', path)
      // A path that was resolved or cut may be another route's; never one of the host.
      assert.ok(status === 400 || status === 404, `${path}: ${status} ${text.slice(0, 200)}`)
    }
  }
  const asked = host.seen.slice(before).map(({ path }) => path)
  assert.deepEqual(asked, [], 'the host was asked for none of it')
})

test('traversal in names that become files of a host: refused where they are read', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const host = await startCanary(t)
  await register(lab, 'lab-1', host.url)
  const names = [
    '..',
    '.',
    '../x',
    '/etc/passwd',
    '//x',
    'a/../b',
    '..\\x',
    'C:\\x',
    '\\\\server\\share',
    'a\0b',
    '\0',
    'a\nb',
    '',
  ]
  const image_source_url = '/host/stream/capture1/captures/x.jpg'
  const fields = (name: string): [string, object][] => [
    ['av/saveScreenshot', { filename: name, userinterface_name: 'tv' }],
    ['av/saveScreenshot', { filename: 'home', userinterface_name: name }],
    ['verification/image/saveImage', { image_source_url, reference_name: name, userinterface_name: 'tv' }],
    ['verification/image/saveImage', { image_source_url, reference_name: 'logo', userinterface_name: name }],
    ['verification/text/saveText', { text: 'Home', reference_name: name, userinterface_name: 'tv' }],
    ['verification/text/saveText', { text: 'Home', reference_name: 'title', userinterface_name: name }],
  ]
  const before = host.seen.length
  for (const name of names) {
    for (const [path, body] of fields(name)) {
      const answer = await lab.post(`/server/${path}`, { host_name: 'lab-1', device_id: 'device1', ...body })
      assert.deepEqual([answer.status, answer.body.code], [400, 'validation_error'], `${path} ${JSON.stringify(body)}`)
    }
  }
  assert.equal(host.seen.length, before, 'nothing of it reached the host')
})
