// Promises N4 and N10, lessons R2 and H4: a platform sends requests as soon as `/health` passes, so the port opens on a server
// that is ready; with a database that is away it opens within 2 s all the same, and `/health` never fails because of it.
// Cuts: the way to PostgreSQL, before the start and later. Judge: the answers. About 10 s.
import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { figure } from './form.ts'
import { openServerSlot } from './server-process.ts'

interface Way {
  url: string
  isOpen: boolean
}

/** A way to the database that can be closed: connections are refused then, as by a machine that is away. */
async function openWay(t: TestContext, databaseUrl: string): Promise<Way & { cut: () => void }> {
  const target = new URL(databaseUrl)
  const ends = new Set<Socket>()
  const server = createServer((near) => {
    if (!way.isOpen) return near.destroy()
    const far = connect(Number(target.port), target.hostname)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(one)
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
      one.pipe(other)
    }
    return undefined
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(databaseUrl)
  url.port = String((server.address() as AddressInfo).port)
  const way = {
    url: url.href,
    isOpen: true,
    cut() {
      way.isOpen = false
      for (const end of ends) end.destroy()
    },
  }
  t.after(() => {
    way.cut()
    server.close()
  })
  return way
}

const untilOpen = (url: string): Promise<Response> =>
  until('the port is open', async () => fetch(`${url}/health`).catch(() => undefined))

test('T5, N4: whoever passes the first health check is ready', async (t) => {
  const { url } = await createTestDatabase(t)
  const slot = await openServerSlot(t, { databaseUrl: () => url })
  for (let round = 1; round <= 3; round += 1) {
    const server = slot.start()
    const health = (await (await untilOpen(slot.url)).json()) as { ready: boolean; reasons: string[] }
    assert.deepEqual([health.ready, health.reasons], [true, []], `start ${round}`)
    server.child.kill('SIGTERM')
    assert.equal(await server.ended, 0)
  }
})

test('N10, R2: without its database the port opens soon, /health stays 200, and the server becomes ready later', async (t) => {
  const { url } = await createTestDatabase(t)
  const way = await openWay(t, url)
  way.cut()
  const slot = await openServerSlot(t, { databaseUrl: () => way.url })
  const server = slot.start()
  await untilOpen(slot.url)
  const listening = server.lines.findIndex(({ msg }) => msg === 'listening')
  assert.ok(listening >= 0)
  const body = (await (await fetch(`${slot.url}/health`)).json()) as { status: string; ready: boolean }
  assert.deepEqual([body.status, body.ready], ['degraded', false])
  assert.equal((await fetch(`${slot.url}/readyz`)).status, 503)
  way.isOpen = true
  await slot.waitUntilReady()
  server.child.kill('SIGTERM')
  assert.equal(await server.ended, 0)

  way.cut()
  const early = slot.start()
  const from = performance.now()
  await until('it waits for its database', () => early.lines.some(({ msg }) => msg?.includes('cannot be reached yet')))
  early.child.kill('SIGTERM')
  assert.equal(await early.ended, 0, 'a stop before the port is open')
  assert.ok(performance.now() - from < 60_000)
})

test('R2: 0 of all health checks fail while the database is away', async (t) => {
  const { url } = await createTestDatabase(t)
  const way = await openWay(t, url)
  const slot = await openServerSlot(t, { databaseUrl: () => way.url })
  slot.start()
  await slot.waitUntilReady()
  let checks = 0
  let slowestMs = 0
  const check = async (): Promise<{ status: string }> => {
    const from = performance.now()
    const response = await fetch(`${slot.url}/health`, { signal: AbortSignal.timeout(30_000) })
    checks += 1
    slowestMs = Math.max(slowestMs, performance.now() - from)
    assert.equal(response.status, 200)
    return (await response.json()) as { status: string }
  }
  way.cut()
  await until('the loss is seen', async () => (await check()).status === 'degraded')
  const back = Date.now() + 4000
  while (Date.now() < back) {
    await check()
    await pause(20)
  }
  way.isOpen = true
  await until('it is well again', async () => (await check()).status === 'ok')
  figure(t, 'R2', `${checks} health checks while the database went and came back: 0 failed, slowest ${Math.round(slowestMs)} ms`)
})
