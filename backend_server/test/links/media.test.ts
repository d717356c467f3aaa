import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { closeRawConnections, rawCall } from '../contract/raw-call.ts'
import { startLab } from '../start-lab.ts'
import { dialLink, natHost, registerNatHost } from './dial-link.ts'

after(closeRawConnections)

const file = Buffer.from('0123456789'.repeat(100))
const base = `/server/hosts/${natHost.hostName}/stream/capture1`

interface Seen {
  method: string | undefined
  url: string | undefined
  headers: IncomingHttpHeaders
}

/** What a host does with a file, with good headers and bad ones. */
const answerFile =
  (seen: Seen[]) =>
  ({ method, url, headers }: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void => {
    seen.push({ method, url, headers })
    const etag = '"one"'
    const facts = {
      etag,
      'accept-ranges': 'bytes',
      'content-type': 'text/html',
      'set-cookie': 'session=stolen',
      'access-control-allow-origin': 'http://evil.example',
      'x-frame-options': 'ALLOWALL',
    }
    const answer = (status: number, more: Record<string, string>, body: Buffer): void => {
      // Both kinds of response take the same.
      const plain = response as ServerResponse
      plain.writeHead(status, more)
      if (method === 'HEAD') plain.end()
      else plain.end(body)
    }
    const nothing = Buffer.alloc(0)
    const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '')
    if (url?.includes('missing')) answer(404, {}, nothing)
    else if (headers['if-none-match'] === etag) answer(304, facts, nothing)
    else if (range) {
      const part = file.subarray(Number(range[1]), Number(range[2]) + 1)
      const where = { 'content-range': `bytes ${range[1]}-${range[2]}/${file.length}`, 'content-length': String(part.length) }
      answer(206, { ...facts, ...where }, part)
    } else answer(200, { ...facts, 'content-length': String(file.length) }, file)
  }

for (const way of ['over the link', 'over the pinned URL'] as const) {
  test(`hosts.md 10: media of a host through the server, ${way}: ranges, ETag, types, and nothing that is not media`, async (t) => {
    const lab = await startLab(t, { hosts: 0 })
    const seen: Seen[] = []
    if (way === 'over the link') {
      await registerNatHost(lab)
      await dialLink(t, lab, { handle: answerFile(seen) })
    } else {
      const host = createServer(answerFile(seen)).listen(0, '127.0.0.1')
      await new Promise((resolve) => host.once('listening', resolve))
      t.after(() => {
        host.closeAllConnections()
        host.close()
      })
      await registerNatHost(lab, { host_url: `http://127.0.0.1:${(host.address() as AddressInfo).port}`, link_only: false })
    }
    const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      fetch(`${lab.url}${base}${path}`, { method, headers })

    const whole = await get('/captures/capture_000000001.jpg?t=17&team_id=7fdeb4bb-3639-4ec3-959f-b54769a219ce&evil=a%0d%0ab')
    assert.equal(whole.status, 200)
    assert.deepEqual(Buffer.from(await whole.arrayBuffer()), file)
    const facts = ['content-type', 'etag', 'content-length', 'accept-ranges', 'cache-control', 'x-content-type-options']
    assert.deepEqual(
      facts.map((name) => whole.headers.get(name)),
      ['image/jpeg', '"one"', '1000', 'bytes', 'private, no-cache', 'nosniff'],
    )
    assert.equal(whole.headers.get('set-cookie'), null)
    assert.notEqual(whole.headers.get('access-control-allow-origin'), 'http://evil.example')
    assert.match(whole.headers.get('content-security-policy') ?? '', /sandbox/)
    assert.equal(seen[0]?.url, '/host/stream/capture1/captures/capture_000000001.jpg?t=17', 'no team, no second line')
    assert.equal(seen[0]?.headers['x-api-key'], natHost.callKey)

    const part = await get('/segments/segment_000000001.ts', { range: 'bytes=10-19', 'if-range': '"one"' })
    assert.deepEqual([part.status, part.headers.get('content-range'), await part.text()], [206, 'bytes 10-19/1000', '0123456789'])
    const known = await get('/segments/14/chunk_10min_0.mp4', { 'if-none-match': '"one"' })
    assert.deepEqual([known.status, await known.text()], [304, ''])
    const list = await get('/segments/output.m3u8')
    assert.deepEqual(
      [list.headers.get('content-type'), list.headers.get('cache-control')],
      ['application/vnd.apple.mpegurl', 'no-store'],
    )
    await list.arrayBuffer()
    const head = await get('/captures/verification_source.jpg', {}, 'HEAD')
    assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '1000', ''])
    assert.equal(seen.at(-1)?.method, 'HEAD')
    assert.equal((await get('/captures/missing.jpg')).status, 404)

    const before = seen.length
    const outside = [
      '/../../../etc/passwd',
      '/captures/..%2f..%2f..%2fetc%2fpasswd.jpg',
      '/captures/%2e%2e/x.jpg',
      '/captures/x.html',
      '/captures/x.svg',
      '/captures/.hidden.jpg',
      '/captures/a.b.jpg',
      '/captures/x.jpg%00.jpg',
      '/captures/x%0d%0ay.jpg',
      '/other/x.jpg',
      '/captures/a/b/c.jpg',
      '/..%2f..%2ftakeControl/captures/x.jpg',
    ]
    for (const path of outside) {
      const { status } = await rawCall(lab.url, 'GET', `${base}${path}`, {})
      assert.ok(status === 400 || status === 404, `${path}: ${status}`)
    }
    assert.equal(seen.length, before, 'the host was not asked')
  })
}

test('media belong to the team of their host, and a viewer may see them', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { AUTH_MODE: 'required' } })
  await registerNatHost(lab)
  await dialLink(t, lab, { handle: answerFile([]) })
  const path = `${base}/captures/verification_source.jpg`
  const { token } = await lab.addToken('eyes', 'viewer')
  const stranger = await lab.addTeam('strangers')
  assert.equal((await lab.get(path)).status, 401)
  const files = ['live.mjpeg', 'segments/output.m3u8', 'captures/verification_source.jpg', 'segments/14/chunk_10min_0.mp4']
  for (const file of files) {
    const refused = await lab.get(`${base}/${file}`, { token: stranger.token })
    assert.deepEqual([refused.status, refused.body.code], [404, 'host_not_found'], file)
    assert.equal((await lab.call('HEAD', `${base}/${file}`, { token: stranger.token })).status, 404, file)
    assert.equal((await lab.get(`${base}/${file}`)).status, 401, file)
  }
  // Neither the link nor what servers hand to each other is anything for a token of a person, of whatever team and role.
  for (const token of [stranger.token, (await lab.addToken('chief', 'admin')).token]) {
    const { refusal } = await dialLink(t, lab, {
      headers: { authorization: `Bearer ${token}` },
      facts: { callKey: 'made-up-call-key-000' },
    })
    assert.ok(refusal && [401, 403].includes(refusal.status), JSON.stringify(refusal))
    const handed = await lab.get(`/server/internal/host-calls/${natHost.hostName}`, {
      token,
      headers: { 'x-host-path': '/host/x' },
    })
    assert.equal(handed.status, 404)
  }
  assert.equal((await lab.get(path, { token })).status, 200)
})
