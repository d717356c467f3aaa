// T5, promise N4, lessons R3 and D3: a deploy is invisible. 0 failed requests, 0 broken runs, 0 double starts, at most one
// leader at each instant, at most 14 database connections, event streams without a hole.
// Ends: the old container (SIGTERM), after both have lived side by side on one database behind the platform's load balancer.
// Judge: the answers everybody got, the ledgers of the hosts, the history of events, what the containers sent to PostgreSQL.
// Real containers (process 1, supervisord), real nginx in front, real PostgreSQL. One deploy takes about 130 s.
// TEST_SECONDS sets the overlap (90), TEST_ROUNDS the number of deploys (1). Needs root.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import { rowsOf } from '../../src/db/query.ts'
import { cannotStartContainers } from '../container/container.ts'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { chanceOf, figure, percentile, sizeOf } from './form.ts'
import { readHistory } from './history.ts'
import { acceptedResults, problemsOf } from './ledgers.ts'
import { readBySocket, readByStream } from './platform/event-readers.ts'
import { startLabLoad } from './platform/lab-load.ts'
import { judgeLeadership, type LeaderSample, sampleLeader } from './platform/leadership.ts'
import { openNetwork } from './platform/network.ts'
import { type Deploy, startPlatform } from './platform/platform.ts'

const promisedStopMs = 25_000
const mostConnections = 14
const mostByOne = 7
const sampleMs = 20
const hostCount = 8

test('T5, N4, R3, D3: a deploy whose containers overlap under load is invisible', {
  skip: cannotStartContainers(),
}, async (t) => {
  const chance = chanceOf(t, 'T5')
  const rounds = sizeOf('TEST_ROUNDS', 1)
  const overlapMs = sizeOf('TEST_SECONDS', 90) * 1000
  const { url: databaseUrl, db } = await createTestDatabase(t)
  const network = openNetwork(t)
  const env = { AUTH_MODE: 'open', SERVER_NAME: 'lab', TRUSTED_PROXIES: '1', GRAFANA: 'off', LOG_LEVEL: 'info' }
  const platform = await startPlatform(t, { network, databaseUrl, env })
  await until('the first server is ready', async () => (await fetch(`${platform.url}/readyz`)).status === 200, 30_000)

  let isOver = false
  t.after(() => {
    isOver = true
  })
  const samples: LeaderSample[] = []
  const sampling = (async () => {
    while (!isOver) {
      samples.push(await sampleLeader(db))
      await pause(sampleMs)
    }
  })()
  const readers = [
    ...[1, 2, 3].map((index) => readByStream(`stream ${index}`, () => platform.url, 0)),
    ...[1, 2, 3].map((index) => readBySocket(`socket ${index}`, platform.url, 0)),
  ]
  t.after(() => {
    for (const reader of readers) reader.stop()
  })
  const load = await startLabLoad(t, { url: platform.url, address: network.address, hosts: hostCount, readers: 4, chance })
  await pause(3000)

  const deploys: Deploy[] = []
  for (let round = 1; round <= rounds; round += 1) {
    const done = await platform.deploy(overlapMs)
    deploys.push(done)
    t.diagnostic(
      `deploy ${round}: healthy after ${Math.round(done.healthyMs)} ms, stopped in ${Math.round(done.stopMs)} ms, ` +
        `${load.requests()} requests, ${load.failures.length} failed`,
    )
    await pause(6000)
  }
  await load.stop()
  const requests = load.requests()

  // Reports may still be written: what counts is everything up to here.
  const written = (await rowsOf(db, sql<{ seq: number }>`select seq from events order by seq`)).map(({ seq }) => seq)
  const last = written.at(-1) ?? 0
  await until('the readers have everything', () => readers.every(({ seqs }) => (seqs.at(-1) ?? 0) >= last)).catch(() => undefined)
  for (const reader of readers) reader.stop()
  isOver = true
  await sampling

  assert.deepEqual(load.failures.slice(0, 20), [], `${load.failures.length} of ${requests} requests failed`)
  for (const { stopStatus, stopMs, killed } of deploys) {
    assert.equal(stopStatus, 0)
    assert.equal(killed, false)
    assert.ok(stopMs < promisedStopMs, `the stop took ${stopMs} ms`)
  }
  assert.deepEqual(problemsOf(load.hosts), [])
  const accepted = acceptedResults(load.hosts)
  assert.deepEqual(
    load.runs.filter((id) => accepted.get(id) !== 1),
    [],
    'runs without exactly one accepted result',
  )
  const broken = await rowsOf(db, sql<{ id: string; status: string }>`select id, status from runs where status <> 'passed'`)
  assert.deepEqual(broken, [])
  const history = await readHistory(db)
  assert.deepEqual(history.problems.slice(0, 5), [])

  for (const { name, seqs, refusals } of readers) {
    assert.deepEqual(refusals, [], `${name} was refused`)
    assert.deepEqual(seqs.length, new Set(seqs).size, `${name} got an event twice`)
    assert.deepEqual(
      seqs.filter((seq) => seq <= last),
      written,
      `${name} did not get every event in order`,
    )
  }
  const cuts = readers.reduce((sum, { connections }) => sum + connections - 1, 0)
  assert.ok(cuts >= readers.length * rounds, `only ${cuts} streams were cut`)

  const leadership = judgeLeadership(samples, platform.instances)
  assert.deepEqual(leadership.problems.slice(0, 5), [])
  assert.equal(leadership.terms, rounds + 1, 'the leader changed at another time than at the stop of the old server')
  // Nothing is swept in the first 60 s after a start.
  if (overlapMs > 70_000) assert.ok(leadership.writes > 20, `${leadership.writes} writes of a leader`)
  const byOne = Math.max(...platform.instances.map(({ tap }) => tap.mostConnections()))
  const together = Math.max(...samples.map(({ connections }) => connections))
  assert.ok(byOne <= mostByOne, `one container had ${byOne} connections`)
  assert.ok(together <= mostConnections, `${together} connections at once`)

  figure(
    t,
    'T5',
    `${rounds} deploys, ${overlapMs / 1000} s of overlap each: ${requests} requests, 0 failed; ${load.runs.length} runs, 0 broken, 0 started twice; ` +
      `${leadership.terms} terms over ${samples.length} samples, ${leadership.writes} writes of leaders each under its own term, ` +
      `longest time without a leader ${leadership.longestGapMs} ms; ${written.length} events to ${readers.length} readers over ${cuts} cuts, 0 lost, 0 doubled; ` +
      `connections at most ${byOne} of one container, ${together} together; stop p50 ${Math.round(
        percentile(
          deploys.map(({ stopMs }) => stopMs),
          0.5,
        ),
      )} ms, seed ${chance.seed}`,
  )
})
