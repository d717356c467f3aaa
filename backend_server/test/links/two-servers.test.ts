// Two servers as processes on one database, the real agent linked to one of them; servers and agent are killed without warning.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openServerSlot } from '../reliability/server-process.ts'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { startLinkedAgent } from './start-linked-lab.ts'

const hostName = 'nat-1'
const holder = { host_name: hostName, device_id: 'device1', session_id: 'me' }

async function post(url: string, path: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const take = (url: string) => post(url, '/server/control/takeControl', holder)

test('a call at any server reaches the host whose link ends at another, and links survive kills of both sides', async (t) => {
  const { url: databaseUrl } = await createTestDatabase(t)
  const env = { AUTH_MODE: 'open' }
  const one = await openServerSlot(t, { databaseUrl: () => databaseUrl, env })
  const two = await openServerSlot(t, { databaseUrl: () => databaseUrl, env })
  one.start()
  await one.waitUntilReady(60_000)
  two.start()
  await two.waitUntilReady(60_000)
  const agent = await startLinkedAgent(t, { serverUrl: one.url, name: hostName })
  const opened = (): number => agent.output().split('link to the server is open').length - 1
  await until('the agent is linked', () => opened() === 1)

  await t.test('calls, media and refusals over the other server', async () => {
    assert.equal((await take(one.url)).status, 200)
    const over = await take(two.url)
    assert.equal(over.status, 200, JSON.stringify(over.body))
    const shot = await post(two.url, '/server/av/takeScreenshot', holder)
    assert.equal(shot.status, 200, JSON.stringify(shot.body))
    const path = `/server/hosts/${hostName}/stream/capture1/captures/verification_source.jpg`
    const whole = await fetch(`${two.url}${path}`)
    const bytes = new Uint8Array(await whole.arrayBuffer())
    assert.deepEqual([whole.status, bytes[0], bytes[1]], [200, 0xff, 0xd8])
    const part = await fetch(`${two.url}${path}`, { headers: { range: 'bytes=0-9' } })
    assert.deepEqual([part.status, (await part.arrayBuffer()).byteLength], [206, 10])
    const { hosts } = (await (await fetch(`${two.url}/server/system/getAllHosts`)).json()) as { hosts: { link: unknown }[] }
    assert.ok(hosts[0]?.link, 'the other server lists the link too')
  })

  await t.test('nobody without the key of the present start comes in between the servers', async () => {
    for (const key of [undefined, 'a-key-that-somebody-made-up']) {
      const response = await fetch(`${one.url}/server/internal/host-calls/${hostName}`, {
        headers: { 'x-host-path': '/host/system/health', ...(key !== undefined && { 'x-internal-key': key }) },
      })
      assert.equal(response.status, 404)
      await response.arrayBuffer()
    }
  })

  await t.test('kill -9 of the server with the link: clear errors meanwhile, and the agent links to its next start', async () => {
    one.current().child.kill('SIGKILL')
    await one.current().ended
    const meanwhile = await take(two.url)
    assert.equal(meanwhile.status, 503, JSON.stringify(meanwhile.body))
    assert.match(String(meanwhile.body.code), /^host_(unreachable|link_lost)$/)
    one.start()
    await one.waitUntilReady(60_000)
    await until('the agent has linked again', () => opened() === 2)
    await until(
      'both servers reach the host',
      async () => (await take(two.url)).status === 200 && (await take(one.url)).status === 200,
      30_000,
    )
  })

  await t.test('kill -9 of the agent in the middle of a call: a clear error, and the next start is linked', async () => {
    // The agent is stopped first, so that the call is under way for sure.
    agent.child.kill('SIGSTOP')
    const call = take(two.url)
    await new Promise((resolve) => setTimeout(resolve, 500))
    await agent.kill('SIGKILL')
    const answer = await call
    assert.equal(answer.status, 503, JSON.stringify(answer.body))
    assert.match(String(answer.body.code), /^host_(unreachable|link_lost)$/)
    const next = await startLinkedAgent(t, { serverUrl: two.url, name: hostName, dataDir: agent.dataDir })
    await until('the next start is linked', () => next.output().includes('link to the server is open'))
    await until(
      'both servers reach it',
      async () => (await take(two.url)).status === 200 && (await take(one.url)).status === 200,
      30_000,
    )
  })
})
