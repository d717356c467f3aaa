import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCircuits } from './circuit.ts'

test('T17: the circuit of a host opens after three failures, and one call at a time tries it again', () => {
  let now = 0
  const circuits = createCircuits({ failures: 3, firstPauseMs: 1000, longestPauseMs: 3000 }, () => now)
  const enter = () => circuits.enter('a')
  for (let count = 0; count < 3; count += 1) {
    assert.deepEqual(enter(), { open: false, probe: false })
    circuits.failed('a')
  }
  assert.equal(enter().open, true)
  assert.deepEqual(circuits.enter('b'), { open: false, probe: false }, 'another host is not affected')

  now = 1000
  assert.deepEqual(enter(), { open: false, probe: true })
  assert.equal(enter().open, true, 'while one call tries, the others do not')
  circuits.failed('a')
  now = 2500
  assert.equal(enter().open, true, 'the pause has doubled')
  now = 3000
  assert.deepEqual(enter(), { open: false, probe: true })
  circuits.undecided('a')
  assert.deepEqual(enter(), { open: false, probe: true }, 'a try that was given up leaves the place to the next')
  circuits.connected('a')
  assert.deepEqual(enter(), { open: false, probe: false })
})

test('failures with a success between them do not add up', () => {
  const circuits = createCircuits()
  for (let count = 0; count < 10; count += 1) {
    circuits.failed('a')
    circuits.failed('a')
    circuits.connected('a')
  }
  assert.equal(circuits.enter('a').open, false)
})
