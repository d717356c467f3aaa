import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStatus, stepsOf } from './host-status.ts'

test('S: steps of a batch lie inside its run, whatever the clock of its host says', () => {
  const startedAt = '2026-11-25T12:00:00.000Z'
  const now = Date.parse(startedAt) + 10_000
  const begunAt = (skewMs: number) => {
    const results = [500, 4_000].map((after) => ({
      success: true,
      execution_time_ms: 2_000,
      action_timestamp: (Date.parse(startedAt) + after + skewMs) / 1000,
    }))
    const said = parseStatus({ status: 'completed', result: { success: true, results } })
    return stepsOf('action', said, { main: ['press_key OK', 'press_key BACK'] }, { startedAt, now }).map((step) =>
      step.started_at.slice(14, 23),
    )
  }
  assert.deepEqual(begunAt(0), ['00:00.500', '00:04.000'])
  for (const skewMs of [3_600_000, -3_600_000, 60_000])
    assert.deepEqual(begunAt(skewMs), ['00:00.000', '00:02.000'], `${skewMs} ms`)
})
