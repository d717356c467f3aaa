// T15, promise N1: at most one holder, tokens grow, terminal states are final, every run ends.
// Kills nothing: random take, extend, release, take-over, submit, crash of a host, partition, passing time, and terms of
// leaders, on the product's own functions and PostgreSQL.
// Judge: a small reference model after every step; and for concurrent actors the history of events, whose numbers are the
// order of the commits. Takes about a minute for 20,000 steps.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestDatabase } from '../test-db.ts'
import { chanceOf, figure, sizeOf } from './form.ts'
import { compareSteps } from './model/compare-steps.ts'
import { createWorld } from './model/world.ts'

test('T15: leases and runs do what the reference model does', async (t) => {
  const { db } = await createTestDatabase(t)
  const steps = sizeOf('TEST_STEPS', 20_000)
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
