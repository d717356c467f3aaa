import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { io } from 'socket.io-client'
import { figure, sizeOf } from '../reliability/form.ts'
import { openNetwork } from '../reliability/platform/network.ts'
import { until } from '../until.ts'
import { type Container, cannotStartContainers, type HttpAnswer, startContainer, untilHealthy } from './container.ts'
import { untilRunning, withStandIn } from './watched-programs.ts'

/*
 * What a proxy in front of the API has broken before: each of it asked in both topologies. The default sizes are those of the
 * lessons; TEST_SECONDS shortens both waits.
 */

const skip = cannotStartContainers()
const open = { AUTH_MODE: 'open', SERVER_NAME: 'lab', SERVER_URL: 'http://lab.example.org', ...withStandIn }
const slowSeconds = sizeOf('TEST_SECONDS', 70)
const idleSeconds = sizeOf('TEST_SECONDS', 180)

interface Entry {
  name: string
  container: Container
  /** From inside the container. */
  inside: string
}

async function both(t: TestContext): Promise<[Entry, Entry]> {
  const direct = await startContainer(t, { env: open })
  const nginx = await startContainer(t, { env: { ...open, TOPOLOGY: 'nginx' } })
  await untilHealthy(direct)
  await untilHealthy(nginx, 80)
  await untilRunning(direct, ['api', 'grafana', 'postgres'])
  await untilRunning(nginx, ['api', 'grafana', 'nginx', 'postgres'])
  const entries = [
    { name: 'direct', container: direct, inside: 'http://127.0.0.1:10000' },
    { name: 'nginx', container: nginx, inside: 'http://127.0.0.1' },
  ] satisfies [Entry, Entry]
  for (const { container, inside } of entries)
    await until('Grafana answers', () => container.http(`${inside}/grafana/api/health`).status === 200)
  return entries
}

const securityHeaders =
  /^(content-security-policy|cross-origin-(opener|resource)-policy|origin-agent-cluster|referrer-policy|strict-transport-security|x-(content-type-options|dns-prefetch-control|download-options|frame-options|permitted-cross-domain-policies|xss-protection))$/

/** Each header once; the policy may be stricter, so of it only that there is one. */
const securityOf = ({ headers }: HttpAnswer): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => securityHeaders.test(name))
      .map(([name, value]): [string, string] => [name, name === 'content-security-policy' ? 'some' : value]),
  )

test('U1, U7, U9, W3: what proxies have broken before works direct and through nginx', { skip }, async (t) => {
  const network = openNetwork(t)
  const entries = await both(t)
  const [direct, nginx] = entries

  for (const { name, container, inside } of entries) {
    await t.test(`U1: /grafana/ ends 200 after at most two redirects, and each file of its page is there (${name})`, () => {
      let path = '/grafana'
      let answer = container.http(`${inside}${path}`)
      for (let redirects = 0; answer.status !== 200; redirects += 1) {
        assert.ok(redirects < 2, `a third redirect: ${answer.status} ${path} ${answer.text}`)
        path = new URL(answer.headers.location ?? '', `${inside}${path}`).pathname
        answer = container.http(`${inside}${path}`)
      }
      const base = new URL(/<base href="([^"]+)"/.exec(answer.text)?.[1] ?? '/', `${inside}${path}`)
      const files = [...answer.text.matchAll(/(?:src|href)="([^"]+\.(?:js|css))"/g)].map(([, file]) => new URL(file ?? '', base))
      assert.equal(files.length >= 2, true, answer.text)
      for (const file of files) assert.equal(container.http(file.href).status, 200, file.href)
    })
  }

  await t.test('U7: the same security headers on 200, 404 and 502, whoever answers', async () => {
    const expected = securityOf(direct.container.http(`${direct.inside}/health`))
    assert.ok(Object.keys(expected).length >= 8, JSON.stringify(expected))
    for (const { container, inside, name } of entries) {
      for (const [path, status] of [
        ['/health', 200],
        ['/server/system/getAllHosts', 200],
        ['/server/nothing', 404],
        ['/nothing', 404],
      ] as const) {
        const answer = container.http(`${inside}${path}`)
        assert.equal(answer.status, status, path)
        assert.deepEqual(securityOf(answer), expected, `${name} ${path}`)
      }
    }
    // While the API is stopped by the supervisor nginx answers alone, for as long as it takes to look.
    assert.match(nginx.container.exec('supervisorctl', 'stop', 'api').stdout, /api: stopped/)
    const bad = nginx.container.http(`${nginx.inside}/server/system/getAllHosts`)
    assert.deepEqual([bad.status, securityOf(bad)], [502, expected])
    nginx.container.exec('supervisorctl', 'start', 'api')
    await untilHealthy(nginx.container, 80)
    await until('Grafana answers', () => nginx.container.http(`${nginx.inside}/grafana/api/health`).status === 200)
  })

  await t.test(`U9, W3: ${slowSeconds} s of silence before an answer, and ${idleSeconds} s in idle streams`, async (sub) => {
    const urls = [`http://${network.join(direct.container.pid)}:10000`, `http://${network.join(nginx.container.pid)}:80`]
    await Promise.all(
      urls.flatMap((url, index) => [waitsForAnswer(sub, url, entries[index]?.name), staysOpen(sub, url, entries[index]?.name)]),
    )
  })
})

async function waitsForAnswer(t: TestContext, url: string, name: string | undefined): Promise<void> {
  const from = performance.now()
  const response = await fetch(`${url}/grafana/slow?seconds=${slowSeconds}`)
  assert.equal(response.status, 200, await response.text())
  const tookMs = performance.now() - from
  assert.ok(tookMs >= slowSeconds * 1000 - 100, `${tookMs} ms`)
  figure(t, 'U9', `${name}: answer after ${(tookMs / 1000).toFixed(1)} s`)
}

/** A socket and an event stream on which nobody says anything. */
async function staysOpen(t: TestContext, url: string, name: string | undefined): Promise<void> {
  const client = io(url, { path: '/server/socket.io', transports: ['websocket'], forceNew: true, reconnection: false })
  const ends: string[] = []
  client.on('disconnect', (reason) => void ends.push(`socket: ${reason}`))
  client.on('connect_error', (error) => void ends.push(`socket: ${error.message}`))
  const from = performance.now()
  const stream = await fetch(`${url}/server/events?rooms=team`, { signal: t.signal })
  assert.equal(stream.status, 200)
  const reader = stream.body?.getReader()
  assert.ok(reader)
  const first = await reader.read()
  assert.ok((first.value?.length ?? 0) > 0)
  const firstMs = performance.now() - from
  let parts = 0
  const reading = (async () => {
    for (;;) {
      const { done } = await reader.read()
      if (done) break
      parts += 1
    }
    ends.push('stream: ended')
  })().catch((error: unknown) => void ends.push(`stream: ${String(error)}`))
  try {
    await pause(idleSeconds * 1000)
    assert.deepEqual(ends, [])
    const answer: unknown = await client.timeout(20_000).emitWithAck('subscribe', { rooms: ['team'] })
    assert.partialDeepStrictEqual(answer, { success: true })
    // A comment every 15 s; a stream that is held back would give nothing.
    assert.ok(parts >= Math.floor(idleSeconds / 30), `${parts} parts`)
    figure(
      t,
      'W3',
      `${name}: open after ${idleSeconds} s, first bytes after ${Math.round(firstMs)} ms, then ${parts} signs of life`,
    )
  } finally {
    client.disconnect()
    await reader.cancel()
    await reading
  }
}
