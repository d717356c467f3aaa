import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { LabError } from '@virtualpytest/shared'
import { startScriptedHost } from '../../../test/contract/scripted-host.ts'
import { createAddressRules } from './address-rules.ts'
import type { HostAddress } from './host.store.ts'
import { createHostClient, type HostClientOptions, type HostStreams } from './host-client.ts'
import { neverReached } from './host-failures.ts'

function startClient(t: TestContext, options: HostClientOptions = {}): HostStreams {
  const client = createHostClient({ circuit: { failures: 3, firstPauseMs: 300, longestPauseMs: 300 }, ...options })
  t.after(() => client.close())
  return client
}
const addressOf = (hostName: string, baseUrl: string, more: Partial<HostAddress> = {}): HostAddress => ({
  hostName,
  baseUrl,
  key: 'key-of-the-lab-123',
  ...more,
})
const post = (client: HostStreams, host: HostAddress, timeoutMs = 5000, path = '/host/a') =>
  client.call(host, { method: 'POST', path, timeoutMs })
const failureOf = async (call: Promise<unknown>): Promise<LabError> => {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof Error, 'the call should have failed')
  return error as LabError
}

/** A port whose queue is full and whose program sleeps: connecting hangs, as with a machine that is switched off. */
async function startBlackHole(t: TestContext): Promise<string> {
  const sleeper = `require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
    require('node:fs').writeSync(1, String(this.address().port))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })`
  const child = spawn(process.execPath, ['-e', sleeper], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [port] = (await once(child.stdout, 'data')) as [Buffer]
  const fillers = Array.from({ length: 4 }, () => connect(Number(port.toString()), '127.0.0.1').on('error', () => undefined))
  t.after(async () => {
    for (const filler of fillers) filler.destroy()
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  await pause(100)
  return `http://127.0.0.1:${port.toString()}`
}

test('T17: hosts that are dead, hanging or slow cost calls to healthy ones nothing', async (t) => {
  const healthy = await startScriptedHost(t, () => ({ status: 200, body: { success: true } }))
  const hanging = await startScriptedHost(t, () => 'say nothing')
  const hole = await startBlackHole(t)
  const client = startClient(t, { connectTimeoutMs: 1000, mostCalls: 20 })
  const troubles = Array.from({ length: 200 }, (_, index) => {
    const url = ['http://127.0.0.1:1', hanging.url, hole, 'http://no-such-host.invalid:80'][index % 4] ?? ''
    return post(client, addressOf(`bad-${index % 4}`, url), 3000).catch((error: LabError) => error.code)
  })
  const times: number[] = []
  for (let count = 0; count < 50; count += 1) {
    const startedAt = performance.now()
    await post(client, addressOf('good', healthy.url))
    times.push(performance.now() - startedAt)
  }
  times.sort((a, b) => a - b)
  // Far less than what it takes to give up a host that cannot be reached.
  assert.ok((times[25] ?? 1e9) < 500, `half of the calls took up to ${Math.round(times[25] ?? 0)} ms`)
  const codes = new Set(await Promise.all(troubles))
  assert.deepEqual(
    [...codes].sort((a, b) => (a < b ? -1 : 1)),
    ['host_busy', 'host_timeout', 'host_unreachable'],
  )
})

test('T17: a dead host is not waited for again: the circuit opens, tries once, and closes when the host is back', async (t) => {
  const pauseMs = 3000
  const client = startClient(t, { circuit: { failures: 3, firstPauseMs: pauseMs, longestPauseMs: pauseMs } })
  const host = await startScriptedHost(t, () => ({ status: 200, body: { success: true } }))
  const port = Number(new URL(host.url).port)
  const address = addressOf('lab-1', host.url)
  await post(client, address)
  await host.stop()
  for (let count = 0; count < 3; count += 1) assert.match((await failureOf(post(client, address))).message, /ECONNREFUSED/)
  const refused = await failureOf(post(client, address))
  assert.deepEqual([refused.code, refused.status, neverReached(refused)], ['host_unreachable', 503, true])
  assert.match(refused.message, /could not be reached several times; the next try is in \d+ s/)

  const server = createHttpServer((_request, response) => response.end('{"success":true}')).listen(port, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  assert.match((await failureOf(post(client, address))).message, /next try/, 'not before the pause is over')
  await pause(pauseMs + 50)
  assert.equal((await post(client, address)).status, 200)
  assert.equal((await post(client, address)).status, 200)
})

test('T17: a registration closes the circuit of a host at once', async (t) => {
  const client = startClient(t, { circuit: { failures: 1, firstPauseMs: 60_000, longestPauseMs: 60_000 } })
  const address = addressOf('lab-1', 'http://127.0.0.1:1')
  await failureOf(post(client, address))
  assert.match((await failureOf(post(client, address))).message, /next try/)
  client.forgetFailures(address)
  assert.match((await failureOf(post(client, address))).message, /ECONNREFUSED/)
})

test('connecting has a limit of its own, and running out of time before it counts as not reached', async (t) => {
  const hole = await startBlackHole(t)
  const client = startClient(t, { connectTimeoutMs: 300 })
  const startedAt = performance.now()
  const [slow, late] = await Promise.all([
    failureOf(post(client, addressOf('slow', hole), 30_000)),
    failureOf(post(client, addressOf('late', hole), 150)),
  ])
  assert.ok(performance.now() - startedAt < 20_000)
  assert.deepEqual(
    [slow.code, slow.message, neverReached(slow)],
    ['host_unreachable', 'Could not connect to host: ETIMEDOUT', true],
  )
  assert.deepEqual([late.code, neverReached(late)], ['host_unreachable', true])
})

test('SSRF by registration: addresses outside HOST_NETWORKS are not called, written or resolved', async (t) => {
  const host = await startScriptedHost(t, () => ({ status: 200, body: {} }))
  const port = new URL(host.url).port
  const client = startClient(t, { mayCall: createAddressRules(['private', 'public']) })
  for (const name of [
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    'localhost',
    '169.254.169.254',
    '0.0.0.0',
  ]) {
    // More often than a host may fail before its circuit opens.
    for (let count = 0; count < 5; count += 1) {
      const refused = await failureOf(post(client, addressOf('lab-1', `http://${name}:${port}`)))
      assert.deepEqual([name, refused.code, refused.status], [name, 'host_address_refused', 502])
      assert.equal(neverReached(refused), true)
    }
  }
  assert.deepEqual(host.seen, [])
})

test('a redirect is an answer and is not followed: it would carry the key elsewhere', async (t) => {
  const other = await startScriptedHost(t, () => ({ status: 200, body: {} }))
  const host = await startScriptedHost(t, () => ({ status: 307, body: {}, headers: { location: other.url } }))
  const client = startClient(t)
  assert.equal((await post(client, addressOf('lab-1', host.url))).status, 307)
  assert.deepEqual(other.seen, [])
})

test('an answer that is too large is cut off', async (t) => {
  const host = await startScriptedHost(t, () => ({ status: 200, text: `{"a":"${'x'.repeat(200_000)}"}` }))
  const client = startClient(t)
  const call = { method: 'GET', path: '/host/a', timeoutMs: 5000, largestAnswer: 100_000 } as const
  const large = await failureOf(client.call(addressOf('lab-1', host.url), call))
  assert.deepEqual([large.code, large.message], ['host_error', 'The answer of the host is too large.'])
})

test('a path can neither carry a second line nor leave /host/', async (t) => {
  const host = await startScriptedHost(t, () => ({ status: 200, body: {} }))
  const client = startClient(t)
  for (const path of ['/host/../server/x', 'http://elsewhere/host/a', '//elsewhere/host/a', '/other']) {
    assert.equal((await failureOf(post(client, addressOf('lab-1', host.url), 5000, path))).code, 'internal', path)
  }
  await post(client, addressOf('lab-1', host.url), 5000, '/host/a\r\nx-evil: 1')
  assert.equal(host.seen[0]?.headers['x-evil'], undefined)
})

test('our agents are called over kept connections, and a call that met a dying one is repeated with its id', async (t) => {
  const ids: (string | undefined)[] = []
  const host = await startScriptedHost(t, ({ headers }) => {
    ids.push(headers['x-request-id'] as string | undefined)
    return ids.length === 2 ? 'hang up' : { status: 200, body: { success: true } }
  })
  const client = startClient(t)
  const agent = addressOf('lab-1', host.url, { repeats: true })
  await post(client, agent)
  assert.equal((await post(client, agent)).status, 200, 'cut off once and repeated')
  assert.equal(host.seen[0]?.headers.connection, 'keep-alive')
  assert.equal(ids.length, 3)
  assert.equal(ids[1], ids[2], 'the same call')
  assert.notEqual(ids[0], ids[1])
})

test('an answer can be passed on while it arrives, at the pace of its reader, and giving it up ends the call on the host', async (t) => {
  let sent = 0
  let cut: Promise<unknown> | undefined
  const server = createHttpServer((request, response) => {
    cut = new Promise((resolve) => response.once('close', resolve))
    if (request.url === '/host/stream/small') {
      response.end('picture')
      return
    }
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(64 * 1024))) sent += 64 * 1024
      response.once('drain', more)
    }
    more()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const client = startClient(t)
  const host = addressOf('lab-1', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const small = await client.stream(host, { method: 'GET', path: '/host/stream/small', timeoutMs: 1000 })
  assert.equal((await buffer(small.body)).toString(), 'picture')

  const stream = await client.stream(host, { method: 'GET', path: '/host/stream/large', timeoutMs: 1000 })
  await pause(300)
  assert.ok(sent < 20_000_000, `nobody reads, and ${sent} bytes were taken`)
  stream.body.destroy()
  await cut
})

test('S: viewers of a live picture never keep calls out, and are told when there are too many', async (t) => {
  const server = createHttpServer((request, response) => {
    if (request.url?.startsWith('/host/stream/')) response.write('picture')
    else response.end('{"success":true}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const client = startClient(t, { mostCalls: 2, mostViewers: 3 })
  const host = addressOf('lab-1', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const view = () =>
    client.stream(host, { method: 'GET', path: '/host/stream/a/live.mjpeg', timeoutMs: 30_000, isWatching: true })
  const viewers = [await view(), await view(), await view()]
  assert.equal((await failureOf(view())).message, 'As many people as possible watch this already.')
  assert.equal((await post(client, host, 30_000)).status, 200)
  const [left] = viewers
  left?.body.destroy()
  if (left) await once(left.body, 'close')
  viewers.push(await view())
  for (const { body } of viewers) body.destroy()
})
