// T4, promises N5 and N4: a stop is orderly. Exit status 0 within 25 s, open requests are finished, runs that go on stay
// leased and are picked up by the next server.
// Ends: the server, with SIGTERM under load at random moments: callers that ask all the time, a person whose takeControl
// waits for a slow host on a connection that stays open, an event stream, hosts with runs of several seconds.
// Judge: the answers the callers got, the exit status, the rows between two servers, the ledgers. 10 rounds take about 45 s.
import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Run } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { firstRow } from '../../src/db/query.ts'
import { FakeHost } from '../fakes/fake-host.ts'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { chanceOf, figure, percentile, sizeOf } from './form.ts'
import { readHistory } from './history.ts'
import { acceptedResults, problemsOf } from './ledgers.ts'
import { openServerSlot } from './server-process.ts'

const promisedMs = 25_000
/** A request sent in the last moment may reach a connection that is being closed as idle; HTTP knows no way around that. */
const lastMomentMs = 50

interface Asked {
  path: string
  at: number
  status: number | string
}

test('T4, H3, R7: a server that is told to stop under load ends in order, and the next one goes on', async (t) => {
  const chance = chanceOf(t, 'T4')
  const rounds = sizeOf('TEST_ROUNDS', 10)
  const hosts: FakeHost[] = []
  let isOver = false
  t.after(async () => {
    isOver = true
    await Promise.all(hosts.map((host) => host.kill()))
  })
  const { url: databaseUrl, db } = await createTestDatabase(t)
  const slot = await openServerSlot(t, { databaseUrl: () => databaseUrl, env: { LOG_LEVEL: 'info' } })
  slot.start()
  await slot.waitUntilReady()
  for (const name of ['lab-1', 'lab-2', 'slow']) {
    const options = { name, serverUrl: () => slot.url, beatMs: 1000, runMs: () => chance.between(1500, 3000) }
    hosts.push(await new FakeHost({ ...options, ...(name === 'slow' && { controlMs: 1000 }) }).start())
  }

  const asked: Asked[] = []
  async function ask(path: string, body?: object): Promise<Record<string, unknown>> {
    const at = performance.now()
    try {
      const response = await fetch(`${slot.url}${path}`, {
        ...(body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(30_000),
      })
      const answer = (await response.json()) as Record<string, unknown>
      asked.push({ path, at, status: response.status })
      return answer
    } catch (error) {
      asked.push({ path, at, status: causeOf(error) })
      return {}
    }
  }
  const paths = ['/server/system/getAllHosts', '/server/runs', '/server/control/lockedDevices', '/health', '/server/leases']
  async function callAllTheTime(): Promise<void> {
    while (!isOver) {
      await ask(chance.pick(paths) ?? '/health')
      await pause(chance.between(1, 30))
    }
  }
  const callers = Array.from({ length: 6 }, callAllTheTime)

  const stops: number[] = []
  for (let round = 1; round <= rounds; round += 1) {
    await slot.waitUntilReady()
    const runs = await Promise.all(
      ['lab-1', 'lab-2'].map(async (host_name) => {
        const answer = await ask('/server/script/execute', { host_name, device_id: 'device1', script_name: 'demo' })
        return String(answer.run_id)
      }),
    )
    await until('the runs go on', () => runs.every((id) => hosts.some((host) => host.runs.has(id))))
    const stream = new AbortController()
    await fetch(`${slot.url}/server/events?rooms=team`, { signal: stream.signal })
    const taken = askAlone(t, `${slot.url}/server/control/takeControl`, {
      host_name: 'slow',
      device_id: 'device1',
      user_id: `user-${round}`,
    })
    await pause(chance.between(100, 700))

    const stopping = slot.current()
    const toldAt = performance.now()
    stopping.child.kill('SIGTERM')
    const status = await stopping.ended
    const stopMs = performance.now() - toldAt
    stops.push(stopMs)
    assert.equal(status, 0, `exit status after ${stopMs} ms`)
    assert.ok(stopMs < promisedMs, `the stop took ${stopMs} ms`)
    const said = stopping.lines.map((line) => line.msg)
    assert.ok(said.includes('stopped') && !said.some((text) => text?.includes('cut short')), 'the stop was not orderly')
    assert.equal(await taken, 200, 'the request that waited for a host was not finished')
    const broken = asked.filter((one) => one.at < toldAt - lastMomentMs && one.status !== 200 && one.status !== 202)
    assert.deepEqual(broken, [], 'requests of before the stop were not answered')
    const odd = asked.filter((one) => one.at >= toldAt && typeof one.status === 'number' && ![200, 503].includes(one.status))
    assert.deepEqual(odd, [], 'a request during the stop was answered with something else than 503')
    asked.length = 0
    stream.abort()

    const held = await firstRow(
      db,
      sql<{ count: number }>`
        select count(*)::int as count from runs r join leases l on l.id = r.lease_id
         where r.id = any(${runs}::uuid[]) and r.status in ('assigned', 'running') and l.status = 'held'`,
    )
    assert.equal(held?.count, runs.length, 'a run that goes on lost its lease at the stop')
    slot.start()
    await slot.waitUntilReady()
    asked.length = 0
    await until('the next server takes the results', async () => {
      const states = await Promise.all(runs.map(async (id) => ((await ask(`/server/runs/${id}`)).run as Run | undefined)?.status))
      return states.every((state) => state === 'passed')
    })
    await ask('/server/control/releaseControl', { host_name: 'slow', device_id: 'device1', user_id: `user-${round}` })
    for (const id of runs) assert.equal(acceptedResults(hosts).get(id), 1)
  }
  isOver = true
  await Promise.all(callers)
  assert.deepEqual(problemsOf(hosts), [])
  assert.deepEqual((await readHistory(db)).problems.slice(0, 5), [])
  figure(
    t,
    'T4',
    `${rounds} stops under load: status 0, 0 requests broken, 0 runs lost, stop p50 ${Math.round(percentile(stops, 0.5))} ms, longest ${Math.round(Math.max(...stops))} ms (promise 25 s), seed ${chance.seed}`,
  )
})

/**
 * Asks on a connection of its own that stays open afterwards and that nobody uses again: it is busy when the stop begins,
 * and must not hold it up for its keep-alive time. Answers the status.
 */
function askAlone(t: TestContext, url: string, body: object): Promise<number | undefined> {
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  return new Promise((resolve, reject) => {
    request(url, { method: 'POST', agent, headers: { 'content-type': 'application/json' } }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode))
    })
      .on('error', reject)
      .end(JSON.stringify(body))
  })
}

const causeOf = (error: unknown): string => {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause)
}
