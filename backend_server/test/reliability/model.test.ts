// T15, promise N1: at most one holder, tokens grow, terminal states are final, every run ends.
// Kills nothing: random take, extend, release, take-over, submit, crash of a host, partition, passing time, and terms of
// leaders, on the product's own functions and PostgreSQL.
// Judge: a small reference model after every step; and for concurrent actors the history of events, whose numbers are the
// order of the commits. Takes about a minute for 20,000 steps, of which 14,000 are compared and 6,000 run four at a time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFinalRun } from '@virtualpytest/shared'
import { createTestDatabase } from '../test-db.ts'
import { chanceOf, figure, sizeOf } from './form.ts'
import { readHistory } from './history.ts'
import { compareSteps } from './model/compare-steps.ts'
import { runActors } from './model/run-actors.ts'
import { createWorld } from './model/world.ts'

test('T15: leases and runs do what the reference model does', async (t) => {
  const { db } = await createTestDatabase(t)
  const steps = Math.ceil(sizeOf('TEST_STEPS', 20_000) * 0.7)
  const chance = chanceOf(t, 'T15')
  const world = await createWorld(db, { agents: 3, originals: 1, devicesPerHost: 2 })
  const from = performance.now()
  const result = await compareSteps(world, chance, { steps, compareEvery: 500 })
  const seconds = (performance.now() - from) / 1000
  assert.ok(result.runs > steps / 20, 'the operations were chosen so badly that nothing happened')
  figure(
    t,
    'T15',
    `${steps} steps against the model, 0 differences, ${result.runs} runs, ${result.grants} leases, ${seconds.toFixed(0)} s, seed ${chance.seed}`,
  )
})

test('T15: four actors at once leave a history in which every device had one holder', async (t) => {
  const { db } = await createTestDatabase(t)
  const actors = 4
  const steps = Math.ceil((sizeOf('TEST_STEPS', 20_000) * 0.3) / actors)
  const { seed } = chanceOf(t, 'T15 actors')
  const world = await createWorld(db, { agents: 1, originals: 1, devicesPerHost: 2 })
  const from = performance.now()
  const book = await runActors(world, seed, { actors, steps })
  const seconds = (performance.now() - from) / 1000
  // Whatever is still open must end by itself.
  for (let round = 0; round < 10; round += 1) {
    await world.tick(7200)
    await world.depose()
    await world.sweep((await world.takeLead('last')) ?? 0)
  }
  const history = await readHistory(db)
  assert.deepEqual(history.problems.slice(0, 5), [])
  const open = [...history.runs.values()].filter((run) => !isFinalRun(run.status))
  assert.deepEqual(open, [], 'every run ends')
  for (const id of book.submitted) assert.ok(history.runs.has(id), `run ${id} was acknowledged and is lost`)
  for (const [id, outcomes] of book.accepted) {
    assert.equal(new Set(outcomes).size, 1, `run ${id} has several accepted results: ${outcomes.join(', ')}`)
    const status = history.runs.get(id)?.status
    assert.ok(
      status === outcomes[0] || (status === 'cancelled' && outcomes[0] === 'error'),
      `run ${id}: ${status} after ${outcomes[0]}`,
    )
  }
  const { devices, leases } = await world.readState()
  assert.deepEqual(leases, [])
  assert.deepEqual(
    devices.filter((device) => device.status === 'leased'),
    [],
    'a device is leased and nobody holds it',
  )
  figure(
    t,
    'T15 actors',
    `${book.operations} steps by ${actors} actors, 0 violations in ${history.events} events, ${history.runs.size} runs, ${history.grants} leases, ${seconds.toFixed(0)} s, seed ${seed}`,
  )
})
