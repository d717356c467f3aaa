// T1, promise N1: no run is lost and no device has two valid holders, whatever is killed.
// Kills: the server, with SIGKILL at random moments, also while it starts; it comes back on the same port. Ten hosts with runs
// in their queues go on meanwhile; submits are repeated with their Idempotency-Key until they are acknowledged.
// Judge: the ledgers of the hosts (each acknowledged run started once, never two at once on a device, one result), the answers
// of the server at the end, and the history of events. 30 rounds take about 80 s.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { isFinalRun, type Run } from '@virtualpytest/shared'
import { FakeHost } from '../fakes/fake-host.ts'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { chanceOf, figure, sizeOf } from './form.ts'
import { readHistory } from './history.ts'
import { acceptedResults, attemptsOf, problemsOf } from './ledgers.ts'
import { openServerSlot } from './server-process.ts'

test('T1: a server that is killed again and again loses no run and starts none twice', async (t) => {
  const chance = chanceOf(t, 'T1')
  const rounds = sizeOf('TEST_ROUNDS', 30)
  const hostCount = sizeOf('TEST_PARALLEL', 10)
  const runsPerRound = hostCount * 2
  const hosts: FakeHost[] = []
  const over = new AbortController()
  t.after(async () => {
    over.abort()
    await Promise.all(hosts.map((host) => host.kill()))
  })
  const { url: databaseUrl, db } = await createTestDatabase(t)
  const slot = await openServerSlot(t, { databaseUrl: () => databaseUrl, env: { LOG_LEVEL: 'warn' } })
  slot.start()
  await slot.waitUntilReady()
  for (let index = 1; index <= hostCount; index += 1) {
    const host = new FakeHost({
      name: `lab-${index}`,
      serverUrl: () => slot.url,
      beatMs: 1000,
      runMs: () => chance.between(20, 400),
    })
    hosts.push(host)
    await host.start()
  }

  /** By key: the run that the server acknowledged. */
  const acknowledged = new Map<string, string>()
  const submits: Promise<void>[] = []
  let repeats = 0
  async function submit(key: string): Promise<void> {
    const body = {
      host_name: chance.pick(hosts)?.options.name,
      device_id: 'device1',
      script_name: 'demo',
      queue: true,
      queue_timeout_seconds: 3600,
    }
    for (let attempt = 0; attempt < 600 && !over.signal.aborted; attempt += 1) {
      if (attempt > 0) repeats += 1
      const response = await fetch(`${slot.url}/server/script/execute`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(5000),
      }).catch(() => undefined)
      const answer = (await response?.json().catch(() => undefined)) as { run_id?: string } | undefined
      if (response?.status === 202 && answer?.run_id) {
        acknowledged.set(key, answer.run_id)
        return
      }
      // While the server is away or starting there is no answer or a 503; nothing else may happen.
      assert.ok(response === undefined || response.status === 503 || answer === undefined, `submit answered ${response?.status}`)
      await pause(100)
    }
    throw new Error(`submit ${key} was never acknowledged`)
  }

  const from = performance.now()
  for (let round = 1; round <= rounds; round += 1) {
    for (let index = 0; index < runsPerRound; index += 1) {
      const work = submit(`round-${round}-${index}`)
      // A failure is thrown where all are awaited; until then somebody must be listening.
      work.catch(() => undefined)
      submits.push(work)
    }
    // One in five dies while it starts; the others some time after they are ready.
    if (round > 1 && chance.isTrue(0.2)) await pause(chance.between(0, 800))
    else {
      await slot.waitUntilReady()
      await pause(chance.between(0, 1200))
    }
    const dying = slot.current()
    assert.equal(dying.child.exitCode, null, 'the server ended by itself')
    dying.child.kill('SIGKILL')
    await dying.ended
    slot.start()
  }
  await slot.waitUntilReady()
  await Promise.all(submits)
  const ids = [...acknowledged.values()]
  const killSeconds = (performance.now() - from) / 1000

  const runs = await until('every acknowledged run ends', async () => {
    const all = await readRuns(slot.url, ids)
    return all.every((run) => isFinalRun(run.status)) && all
  })
  await until('every result is acknowledged', () => hosts.every((host) => host.runs.size === 0))

  assert.equal(acknowledged.size, rounds * runsPerRound)
  assert.equal(new Set(ids).size, ids.length, 'two keys were answered with one run')
  assert.deepEqual(
    runs.filter((run) => run.status !== 'passed').map((run) => `${run.id} ${run.status} ${run.error_code}`),
    [],
  )
  assert.deepEqual(problemsOf(hosts), [])
  const results = acceptedResults(hosts)
  const started = new Set(attemptsOf(hosts).map((attempt) => attempt.runId))
  for (const id of ids) {
    assert.ok(started.has(id), `run ${id} was acknowledged and never started`)
    assert.equal(results.get(id), 1, `run ${id} has ${results.get(id)} accepted results`)
  }
  assert.equal(started.size, ids.length, 'hosts were given runs that nobody submitted')
  const history = await readHistory(db)
  assert.deepEqual(history.problems.slice(0, 5), [])
  figure(
    t,
    'T1',
    `${rounds} kills, ${hostCount} hosts, ${ids.length} runs: 0 lost, 0 double-held, 1 result each; ${repeats} submits repeated, ${killSeconds.toFixed(0)} s of kills, seed ${chance.seed}`,
  )
})

async function readRuns(url: string, ids: readonly string[]): Promise<Run[]> {
  const runs: Run[] = []
  for (const id of ids) {
    const response = await fetch(`${url}/server/runs/${id}`)
    assert.equal(response.status, 200, `run ${id} was acknowledged and is lost`)
    runs.push(((await response.json()) as { run: Run }).run)
  }
  return runs
}
