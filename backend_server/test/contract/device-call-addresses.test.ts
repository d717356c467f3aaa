import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { startLab, until } from '../start-lab.ts'

const area = { x: 1, y: 2, width: 30, height: 40 }
const picture = '/host/stream/capture1/captures/capture_000000001.jpg'
const asReact = (path: string): string => `/server/${path}?team_id=${defaultTeamId}`

test('no address from outside makes a host fetch something: SSRF and path traversal', async (t) => {
  const lab = await startLab(t)
  const [host] = lab.hosts
  assert.ok(host)
  const refused = [
    'http://169.254.169.254/latest/meta-data/',
    'http://127.0.0.1.example.org/host/stream/capture1/captures/x.jpg',
    'http://127.0.0.1@example.org/host/stream/capture1/captures/x.jpg',
    'https://example.org/host/stream/capture1/captures/x.jpg',
    '//example.org/host/stream/capture1/captures/x.jpg',
    'file:///etc/passwd',
    '/etc/passwd',
    '../../etc/passwd',
    '/host/stream/../../etc/passwd',
    '/host/stream/capture1/..%2f..%2fetc/passwd',
    '/host/stream/capture1/%2e%2e/%2e%2e/etc/passwd',
    '/host/stream/capture1\\..\\secret',
    '/host/stream/capture1/x.jpg\r\nx-api-key: 1',
    '/host/stream/capture1/%00.jpg\0',
    `${host.url}/host/../etc/passwd`,
    `${host.url}/host/stream/../../etc/passwd`,
    '/server/hosts/lab-2/stream/capture1/captures/x.jpg',
    'gopher://127.0.0.1/host/stream/x',
  ]
  for (const image_source_url of refused) {
    for (const path of [
      'verification/image/cropImage',
      'verification/image/processImage',
      'verification/text/detectText',
      'verification/image/saveImage',
      'verification/executeBatch',
    ]) {
      const body = {
        host_name: 'lab-1',
        image_source_url,
        area,
        reference_name: 'a',
        userinterface_name: 'tv',
        verifications: [{ command: 'waitForImageToAppear', userinterface_name: 'tv' }],
      }
      const answer = await lab.post(asReact(path), body)
      assert.deepEqual([answer.status, answer.body.code], [400, 'validation_error'], `${path} ${image_source_url}`)
    }
  }
  assert.equal(host.calls.seen.length, 0, 'nothing of it reached the host')
  for (const image_source_url of [
    picture,
    `${host.url}${picture}`,
    `http://127.0.0.1${picture}`,
    `/server/hosts/lab-1/stream/capture1/captures/x.jpg`,
  ]) {
    const answer = await lab.post(asReact('verification/text/detectText'), { host_name: 'lab-1', image_source_url })
    assert.equal(answer.status, 200, `${image_source_url}: ${answer.text}`)
  }
})

test('names from outside never choose a path on the host', async (t) => {
  const lab = await startLab(t)
  const [host] = lab.hosts
  assert.ok(host)
  for (const host_name of ['../lab-1', 'lab-1/..', 'lab-1?x=1', 'lab-1#x', 'lab-1%2f..', 'lab-1\n']) {
    assert.equal((await lab.post(asReact('remote/dumpUi'), { host_name })).status, 400, host_name)
  }
  for (const reference_name of ['../x', 'a/b', 'a\\b', 'a\nb', '']) {
    const body = { host_name: 'lab-1', image_source_url: picture, userinterface_name: 'tv', reference_name }
    assert.equal((await lab.post(asReact('verification/image/saveImage'), body)).status, 400, reference_name)
  }
  for (const filename of ['../../x', 'a/b', 'a\\b']) {
    const body = { host_name: 'lab-1', filename, userinterface_name: 'tv' }
    assert.equal((await lab.post(asReact('av/saveScreenshot'), body)).status, 400, filename)
  }
  assert.equal(host.calls.seen.length, 0)
  const id = encodeURIComponent('../../system/health')
  const status = await lab.get(`/server/action/execution/${id}/status?host_name=lab-1`)
  assert.deepEqual([status.status, status.body.code], [404, 'execution_not_found'])
  await until('nothing is asked later either', () => host.calls.seen.length === 0)
})
