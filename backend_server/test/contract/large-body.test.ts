import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, test } from 'node:test'
import { startLab } from '../start-lab.ts'
import { assertEnvelope, closeRawConnections, rawCall } from './raw-call.ts'

after(closeRawConnections)

const limit = 5 * 1024 * 1024
const json = { 'content-type': 'application/json' }
const path = '/server/system/unregister'
/** A valid body of exactly so many bytes. */
const bodyOf = (bytes: number): string => `{"host_name":"nobody"${' '.repeat(bytes - 22)}}`

test('U8: a body of the limit is read, and one byte more is 413 every time, however large and in whatever form', async (t) => {
  const lab = await startLab(t)
  const atLimit = await rawCall(lab.url, 'POST', path, { headers: json, body: bodyOf(limit) })
  assert.equal(Buffer.byteLength(bodyOf(limit)), limit)
  assert.notEqual(atLimit.status, 413, atLimit.text)
  for (const bytes of [limit + 1, limit + 1, limit + 1, 64 * 1024 * 1024 + 1]) {
    const answer = await rawCall(lab.url, 'POST', path, { headers: json, body: bodyOf(bytes) })
    assert.equal(answer.status, 413, `${bytes} bytes: ${answer.text}`)
    assertEnvelope(answer, `${bytes} bytes`)
  }
  const health = await rawCall(lab.url, 'GET', '/health')
  assert.equal(health.status, 200, 'the connection stays usable')
})

for (const [form, head] of [
  ['with a length', `Content-Length: ${limit * 4}`],
  ['in chunks', 'Transfer-Encoding: chunked'],
] as const) {
  test(`U8: whoever sends everything before reading gets the answer all the same (${form})`, async (t) => {
    const lab = await startLab(t)
    const { hostname, port } = new URL(lab.url)
    const socket = net.connect(Number(port), hostname)
    t.after(() => socket.destroy())
    await once(socket, 'connect')
    const piece = 'x'.repeat(65_536)
    const isChunked = form === 'in chunks'
    socket.pause()
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${head}\r\n\r\n`)
    for (let sent = 0; sent < limit * 4; sent += piece.length) {
      const isTaken = socket.write(isChunked ? `10000\r\n${piece}\r\n` : piece)
      if (!isTaken) await once(socket, 'drain')
    }
    if (isChunked) socket.write('0\r\n\r\n')
    socket.resume()
    const [answer] = (await once(socket, 'data')) as [Buffer]
    assert.match(answer.toString(), /^HTTP\/1\.1 413 [\s\S]*"code":"payload_too_large"/)
    assert.doesNotMatch(answer.toString(), /^connection: close/im)
  })
}

test('U8: a body without end is not read forever', async (t) => {
  const lab = await startLab(t)
  const { hostname, port } = new URL(lab.url)
  const socket = net.connect(Number(port), hostname)
  socket.on('error', () => {})
  socket.setMaxListeners(0)
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  socket.resume()
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`)
  const piece = `100000\r\n${'x'.repeat(1_048_576)}\r\n`
  let megabytes = 0
  while (!socket.destroyed && megabytes < 400) {
    // A reset is how the server says that it has had enough.
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined)
    megabytes += 1
  }
  assert.ok(socket.destroyed && megabytes < 400, `${megabytes} MB were taken`)
})
