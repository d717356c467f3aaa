import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import Fastify from 'fastify'
import { type WebSocket, WebSocketServer } from 'ws'
import { createDial } from './dial.ts'
import { createReverseHttp } from './reverse-http.ts'

test('a server that is gone without a word is noticed by its silence, and the agent dials again', async (t) => {
  const server = http.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const links: WebSocket[] = []
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'virtualpytest.link.v1' })
  sockets.on('connection', (link) => {
    links.push(link)
    // Open for the kernel, and nobody reads or writes.
    if (links.length === 1) link.pause()
  })
  const dial = createDial({
    serverUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: undefined,
    hostName: 'half-open',
    bootId: 'boot-1',
    callKey: 'a-call-key',
    http: createReverseHttp(server),
    log: Fastify({ logger: false }).log,
    pingMs: 50,
  })
  t.after(async () => {
    await dial.stop()
    for (const link of links) link.terminate()
    server.close()
  })
  dial.start()
  while (links.length < 2) await once(sockets, 'connection', { signal: AbortSignal.timeout(30_000) })
  assert.equal(links.length, 2)
})
