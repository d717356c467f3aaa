import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { startLabWithAgent } from './start-agent.ts'

/** Sends the path as it is written; `fetch` would resolve dots first. */
const rawGet = (url: string, asked: string): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    request({ hostname, port, path: asked }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
    })
      .once('error', reject)
      .end()
  })

const secret = 'what nobody may read'

test('traversal in addresses of media: an agent gives no file beside those that it shows, however the path is encoded', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.server.callAgent('/host/av/takeScreenshot', { device_id: 'device1' })
  // Where a path that is resolved wrongly would lead to.
  for (const folder of ['state', 'media', 'media/capture1', 'media/other/captures', 'media/capture1/private']) {
    await mkdir(path.join(lab.dataDir, folder), { recursive: true })
    await writeFile(path.join(lab.dataDir, folder, 'secret.jpg'), secret)
  }
  const up = ['..', '%2e%2e', '.%2e', '%252e%252e', '..%5c', '..\\', '..;', '%c0%ae%c0%ae', '....']
  const slash = ['/', '%2f', '%252f', '%5c', '\\', '//']
  const paths = up.flatMap((dots) =>
    slash.flatMap((line) => [
      `/host/stream/capture1/captures/${dots}${line}secret.jpg`,
      `/host/stream/capture1/captures/${dots}${line}${dots}${line}secret.jpg`,
      `/host/stream/capture1/captures/${dots}${line}${dots}${line}${dots}${line}state${line}secret.jpg`,
      `/host/stream/${dots}${line}state/captures/secret.jpg`,
      `/host/stream/capture1/${dots}${line}secret.jpg`,
      `/host/stream/capture1/captures/cropped/${dots}${line}${dots}${line}secret.jpg`,
    ]),
  )
  const others = [
    '/host/stream/other/captures/secret.jpg',
    '/host/stream/capture1/private/secret.jpg',
    '/host/stream/capture1/captures/private/secret.jpg',
    '/host/stream/capture1//secret.jpg',
    '/host/stream//capture1/captures/secret.jpg',
    `/host/stream/capture1/captures/${encodeURIComponent(path.join(lab.dataDir, 'state/secret.jpg'))}`,
    '/host/stream/capture1/captures/secret.jpg%00',
    '/host/stream/capture1/captures/%00secret.jpg',
    '/host/stream/capture1/captures/verification_source.jpg%00.png',
  ]
  const good = await rawGet(lab.url, '/host/stream/capture1/captures/verification_source.jpg')
  assert.equal(good.status, 200, 'the plain form of it works')
  for (const one of [...paths, ...others]) {
    const { status, body } = await rawGet(lab.url, one)
    assert.ok([400, 401, 404].includes(status), `${one}: ${status}`)
    assert.ok(!body.includes(secret), one)
  }
})

test('traversal in names of files: an agent writes below its own folders, whatever it is told', async (t) => {
  const lab = await startLabWithAgent(t)
  const names = [
    '../../x',
    '..',
    '/etc/vpt-x',
    'a/b',
    'a\\..\\b',
    '%2e%2e%2fx',
    '..%2fx',
    'C:\\x',
    'a\0b',
    '.hidden',
    'x'.repeat(300),
  ]
  const before = await readdir(lab.dataDir)
  for (const name of names) {
    for (const body of [
      { filename: name, userinterface_name: 'tv' },
      { filename: 'home', userinterface_name: name },
    ]) {
      const { status, body: answer } = await lab.server.callAgent('/host/av/saveScreenshot', { device_id: 'device1', ...body })
      assert.ok(status < 500, `${name}: ${status} ${JSON.stringify(answer)}`)
      if (answer.success !== true) continue
      const url = String(answer.screenshot_url)
      assert.match(url, /^\/host\/stream\/capture1\/captures\/references\/[\w-]+(\.[A-Za-z0-9]+){1,2}$/, name)
      assert.equal((await rawGet(lab.url, url)).status, 200, url)
    }
  }
  assert.deepEqual([...new Set([...before, 'media'])].sort(), [...new Set(await readdir(lab.dataDir))].sort())
  const written = (await readdir(path.join(lab.dataDir, 'media'), { recursive: true, withFileTypes: true })).filter((one) =>
    one.isFile(),
  )
  assert.ok(written.length > 0)
  for (const { parentPath, name } of written)
    assert.ok(parentPath.startsWith(path.join(lab.dataDir, 'media/capture1')), path.join(parentPath, name))
})
