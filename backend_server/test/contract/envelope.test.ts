import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, test } from 'node:test'
import { type Lab, startLab } from '../start-lab.ts'
import { everyRoute, nobody, sampleRequest } from './every-route.ts'
import { assertEnvelope, closeRawConnections, rawCall } from './raw-call.ts'

after(closeRawConnections)

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'] as const
const json = { 'content-type': 'application/json' }
const withBody = everyRoute.filter(({ route }) => route.body !== undefined)

test('failures have one envelope, whatever failed', async (t) => {
  const lab = await startLab(t)

  await t.test('an unknown route is 404, with every method and any body', async () => {
    for (const method of [...methods, 'OPTIONS']) {
      for (const path of ['/server/nothing/here', '/nothing', '/server/system/getAllHost', '/server/runs/1/2/3']) {
        if (method === 'OPTIONS') continue
        const answer = await rawCall(lab.url, method, path, { headers: { 'content-type': 'text/plain' }, body: '{' })
        assert.equal(answer.status, 404, `${method} ${path}: ${answer.text}`)
        assert.equal(answer.body.code, 'route_not_found')
        assertEnvelope(answer, path)
      }
    }
    const large = await rawCall(lab.url, 'POST', '/server/nothing', { headers: json, body: 'x'.repeat(6_000_000) })
    assert.equal(large.status, 404)
  })

  await t.test('a wrong method is 405 with Allow, on every path of the contract', async () => {
    for (const path of new Set(everyRoute.map(({ route }) => route.path))) {
      const allowed = everyRoute.filter(({ route }) => route.path === path).map(({ route }) => route.method as string)
      const named = everyRoute.find(({ route }) => route.path === path)
      assert.ok(named)
      const sample = sampleRequest(named, nobody).path
      for (const method of methods.filter((one) => !allowed.includes(one))) {
        const answer = await rawCall(lab.url, method, sample, method === 'GET' ? {} : { headers: json, body: '{not json' })
        assert.equal(answer.status, 405, `${method} ${path}: ${answer.text}`)
        assert.equal(answer.body.code, 'method_not_allowed')
        assert.deepEqual((answer.headers.allow ?? '').split(', ').sort(), allowed.sort(), `${method} ${path}`)
        assertEnvelope(answer, `${method} ${path}`)
      }
    }
  })

  await t.test('bad JSON is 400, another content type 415, on every route that reads a body', async () => {
    for (const named of withBody) {
      const { path } = sampleRequest(named, nobody)
      const call = (body: string, type = 'application/json') =>
        rawCall(lab.url, named.route.method, path, { headers: { 'content-type': type }, body })
      for (const bad of ['{', '{"host_name":', 'nonsense', '"', '[1,', '{"a":1}{"b":2}', '\u0000', '{"__proto__":{"a":1}}']) {
        const answer = await call(bad)
        assert.equal(answer.status, 400, `${named.name} with ${bad}: ${answer.text}`)
        assertEnvelope(answer, named.name)
      }
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/xml',
        'nonsense',
      ]) {
        const answer = await call('a=1', type)
        assert.equal(answer.status, 415, `${named.name} with ${type}: ${answer.text}`)
        assert.equal(answer.body.code, 'unsupported_media_type')
        assertEnvelope(answer, named.name)
      }
      const charset = await call('[]', 'application/json; charset=utf-8')
      assert.equal(charset.status, 400, `${named.name}: ${charset.text}`)
    }
  })

  await t.test('a body that is too large is 413, and the callback of a host may have megabytes', async () => {
    const text = JSON.stringify({ host_name: 'x'.repeat(5 * 1024 * 1024) })
    for (const named of withBody.filter(({ route }) => route.bodyLimit === undefined)) {
      const answer = await rawCall(lab.url, named.route.method, sampleRequest(named, nobody).path, { headers: json, body: text })
      assert.equal(answer.status, 413, `${named.name}: ${answer.text}`)
      assert.equal(answer.body.code, 'payload_too_large')
      assertEnvelope(answer, named.name)
    }
    const output = { task_id: nobody.runId, result: { stdout: 'line\n'.repeat(2_000_000) } }
    const callback = await rawCall(lab.url, 'POST', '/server/script/taskComplete', {
      headers: json,
      body: JSON.stringify(output),
    })
    assert.equal(callback.status, 200, callback.text)
  })

  await t.test('a body that is missing names the missing fields; an absent optional one is fine', async () => {
    for (const headers of [{}, json]) {
      const answer = await rawCall(lab.url, 'POST', '/server/system/register', { headers })
      assert.equal(answer.status, 400)
      assert.equal(answer.body.error, 'Missing required fields: host_name, host_url, devices')
      const cancel = await rawCall(lab.url, 'POST', `/server/runs/${nobody.runId}/cancel`, { headers })
      assert.equal(cancel.body.code, 'run_not_found', cancel.text)
    }
  })

  await t.test('every answer carries a request id of its own, also a good one, and never the one a client sends', async () => {
    const ids = new Set<string>()
    for (let count = 0; count < 5; count += 1) {
      const answer = await lab.get('/server/health', { headers: { 'x-request-id': 'chosen-by-the-client' } })
      ids.add(answer.headers.get('x-request-id') ?? '')
    }
    assert.equal(ids.size, 5)
    assert.ok(!ids.has('chosen-by-the-client') && !ids.has(''))
  })

  await t.test('what is not even HTTP gets the envelope too, and the server goes on', async () => {
    assert.equal((await sendBytes(lab, 'NONSENSE\r\n\r\n')).status, 400)
    const long = await sendBytes(lab, `GET /server/health?a=${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`)
    assert.equal(long.status, 431)
    assert.equal((await lab.get('/server/health')).status, 200)
  })
})

async function sendBytes(lab: Lab, bytes: string): Promise<{ status: number }> {
  const socket = net.connect(Number(new URL(lab.url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  socket.write(bytes)
  await once(socket, 'close')
  const [head = '', body = ''] = text.split('\r\n\r\n')
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1])
  const id = /^x-request-id: (.*)$/im.exec(head)?.[1]
  assertEnvelope(
    { status, text: body, body: JSON.parse(body) as Record<string, unknown>, headers: { 'x-request-id': id } },
    bytes.slice(0, 30),
  )
  return { status }
}
