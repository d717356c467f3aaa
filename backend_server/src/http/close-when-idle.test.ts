import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { closePlainServer, createIdleCloser } from './close-when-idle.ts'

test('N5: a stop waits for open requests, not for connections that are idle or have never said anything', async (t) => {
  const server = createServer((request, response) => {
    setTimeout(() => response.end('done'), request.url === '/slow' ? 700 : 0)
  })
  const closeWhenIdle = createIdleCloser(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const open = async () => {
    const socket = connect(port, '127.0.0.1')
    t.after(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  await open()
  const used = await open()
  used.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(used, 'data')
  const slow = fetch(`http://127.0.0.1:${port}/slow`)
  await pause(100)
  const from = performance.now()
  await closeWhenIdle(() => closePlainServer(server))
  const ms = performance.now() - from
  assert.equal(await (await slow).text(), 'done')
  assert.ok(ms < 30_000, `closed after ${Math.round(ms)} ms`)
})
