import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { LabError } from '@virtualpytest/shared'
import { type ScriptedAnswer, type SeenRequest, startScriptedHost } from '../../../test/contract/scripted-host.ts'
import { createHostClient } from './host-client.ts'
import { failureStatus, neverReached } from './host-failures.ts'

async function start(t: TestContext, answer: (request: SeenRequest) => ScriptedAnswer | 'hang up' | 'say nothing') {
  const host = await startScriptedHost(t, answer)
  const reachable: [string, boolean][] = []
  const client = createHostClient({ onReachable: (name, state) => reachable.push([name, state]) })
  t.after(() => client.close())
  const address = { hostName: 'lab-1', baseUrl: host.url, key: 'key-of-the-lab' as string | undefined }
  return { host, client, address, reachable }
}

test('hosts.md 7: what a call carries', async (t) => {
  const { host, client, address, reachable } = await start(t, () => ({ status: 200, body: { success: true, n: 1 } }))
  const answer = await client.call(address, {
    method: 'POST',
    path: '/host/takeControl',
    query: { team_id: 'a b&c' },
    timeoutMs: 5000,
  })
  assert.deepEqual(answer, { status: 200, body: { success: true, n: 1 } })
  const [post] = host.seen
  assert.deepEqual(
    [post?.method, post?.path, post?.query, post?.body],
    ['POST', '/host/takeControl', { team_id: 'a b&c' }, {}],
    'a body is always an object',
  )
  assert.deepEqual([post?.headers['x-api-key'], post?.headers['content-type']], ['key-of-the-lab', 'application/json'])

  await client.call(
    { ...address, baseUrl: `${host.url}/pi2`, key: undefined },
    { method: 'GET', path: '/host/av/status', query: { device_id: 'device1' }, timeoutMs: 5000 },
  )
  const get = host.seen[1]
  assert.deepEqual(
    [get?.method, get?.path, get?.headers['content-type'], get?.headers['x-api-key']],
    ['GET', '/pi2/host/av/status', undefined, undefined],
  )

  await client.call(address, { method: 'POST', path: '/host/a', body: { text: 'Ärger 設定 🧨' }, timeoutMs: 5000 })
  assert.deepEqual(host.seen[2]?.body, { text: 'Ärger 設定 🧨' })
  assert.deepEqual(
    reachable,
    Array.from({ length: 3 }, () => ['lab-1', true]),
  )
})

test('hosts.md 7: failures on the way', async (t) => {
  const { host, client, address, reachable } = await start(t, ({ path }) =>
    path === '/host/slow' ? 'say nothing' : path === '/host/cut' ? 'hang up' : { status: 200, text: 'no JSON' },
  )
  const fail = async (path: string, timeoutMs = 5000): Promise<LabError> => {
    const error = await client.call(address, { method: 'POST', path, timeoutMs }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    assert.ok(error instanceof Error)
    return error as LabError
  }
  const slow = await fail('/host/slow', 300)
  assert.deepEqual(
    [slow.code, slow.status, slow.errorType, slow.message],
    ['host_timeout', 504, 'network_error', 'Request to host timed out (timeout=0s)'],
  )
  const cut = await fail('/host/cut')
  assert.deepEqual(
    [cut.code, cut.status, cut.errorType, neverReached(cut)],
    ['host_unreachable', 503, 'network_error', false],
    'it may have begun',
  )
  const nonsense = await fail('/host/nonsense')
  assert.deepEqual(
    [nonsense.code, nonsense.status, nonsense.message, nonsense.extra.raw_response],
    ['host_error', 502, 'Invalid JSON response from host', 'no JSON'],
  )
  await host.stop()
  const gone = await fail('/host/a')
  assert.deepEqual([gone.code, neverReached(gone)], ['host_unreachable', true])
  assert.match(gone.message, /^Could not connect to host: ECONNREFUSED$/)
  assert.deepEqual(
    reachable.map(([, state]) => state),
    [false, true, false],
    'a timeout says nothing about the connection',
  )
})

test('a call that its caller gives up ends at once', async (t) => {
  const { client, address } = await start(t, () => 'say nothing')
  const stop = new AbortController()
  const call = client.call(address, { method: 'POST', path: '/host/slow', timeoutMs: 60_000, signal: stop.signal })
  stop.abort()
  await assert.rejects(call, { name: 'AbortError' })
})

test('hundreds of calls, over kept connections and others, leave nothing behind', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): number => warnings.push(warning)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  const { host, client, address } = await start(t, () => ({ status: 200, body: {} }))
  for (let count = 0; count < 200; count += 1)
    await client.call(address, { method: count % 2 === 0 ? 'GET' : 'POST', path: '/host/a', timeoutMs: 5000 })
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(warnings, [])
  assert.deepEqual([host.seen[0]?.headers.connection, host.seen[1]?.headers.connection], ['keep-alive', 'close'])
})

test('a failure of a host is never a success of ours, and its 401 never ours', () => {
  assert.deepEqual([200, 302, 400, 401, 404, 423, 500, 503].map(failureStatus), [502, 502, 400, 502, 404, 423, 500, 503])
})
