import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { linkBytes } from './link-bytes.ts'
import { createReverseHttp } from './reverse-http.ts'

test('delay of a call: an answer that is there at once travels in one message, with its end', async (t) => {
  const picture = Buffer.alloc(20_000, 1)
  const local = http.createServer((request, response) => {
    if (request.method === 'HEAD') response.writeHead(200, { 'content-length': picture.length }).end()
    else if (request.url === '/host/nothing') response.writeHead(204).end()
    else response.writeHead(200, { 'content-length': picture.length }).end(picture)
  })
  const reverse = createReverseHttp(local)
  const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(sockets, 'listening')
  const dialed = new WebSocket(`ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`)
  const [accepted] = (await once(sockets, 'connection')) as [WebSocket]
  if (dialed.readyState !== dialed.OPEN) await once(dialed, 'open')
  reverse.serve(linkBytes(dialed))
  let messages = 0
  accepted.on('message', () => {
    messages += 1
  })
  const session = http2.connect('http://host', { createConnection: () => linkBytes(accepted) })
  t.after(() => {
    session.destroy()
    reverse.close()
    dialed.terminate()
    sockets.close()
  })
  const ask = async (path: string, method = 'GET'): Promise<number> => {
    const stream = session.request({ ':method': method, ':path': path })
    const chunks: Buffer[] = await stream.toArray()
    return Buffer.concat(chunks).length
  }

  // The first one meets the greetings of both sides.
  assert.equal(await ask('/host/picture'), picture.length)
  for (const [path, method, bytes] of [
    ['/host/picture', 'GET', picture.length],
    ['/host/picture', 'HEAD', 0],
    ['/host/nothing', 'GET', 0],
  ] as const) {
    messages = 0
    assert.equal(await ask(path, method), bytes)
    assert.equal(messages, 1, `${method} ${path}`)
  }
})
