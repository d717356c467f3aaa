import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alertMoves } from './alerts/index.ts'
import { deviceMoves } from './devices/index.ts'
import { hostMoves, offlineAfterSeconds } from './hosts/index.ts'
import { leaseMoves, leaseSeconds } from './leases/index.ts'
import { finalRunStatuses, isFinalRun, openRunStatuses, type RunStatus, runMoves, taskStatus } from './runs/index.ts'

const tables: Record<string, { moves: Record<string, readonly string[]>; first: string; final: string[] }> = {
  run: { moves: runMoves, first: 'queued', final: ['passed', 'failed', 'error', 'cancelled'] },
  alert: { moves: alertMoves, first: 'active', final: ['resolved'] },
  lease: { moves: leaseMoves, first: 'waiting', final: ['released', 'expired', 'revoked'] },
  device: { moves: deviceMoves, first: 'offline', final: ['retired'] },
  // An administrator may take a retired host back.
  host: { moves: hostMoves, first: 'offline', final: [] },
}

for (const [name, { moves, first, final }] of Object.entries(tables)) {
  test(`the states of a ${name}: every move leads to a state, none out of a final one, all can be reached`, () => {
    const states = Object.keys(moves)
    for (const [from, nexts] of Object.entries(moves)) {
      for (const to of nexts) assert.ok(states.includes(to), `${from} -> ${to}`)
      assert.ok(!nexts.includes(from), `${from} -> ${from} is no move`)
      assert.equal(new Set(nexts).size, nexts.length)
    }
    assert.deepEqual(
      states.filter((state) => moves[state]?.length === 0),
      final,
    )
    const reached = new Set([first])
    for (const state of reached) for (const to of moves[state] ?? []) reached.add(to)
    assert.deepEqual([...reached].sort(), [...states].sort())
  })
}

test('runs are open or final, never both, in the words of the original too', () => {
  const states = Object.keys(runMoves) as RunStatus[]
  assert.deepEqual([...openRunStatuses, ...finalRunStatuses].sort(), [...states].sort())
  for (const state of states) assert.equal(isFinalRun(state), (finalRunStatuses as readonly string[]).includes(state))
  assert.deepEqual(Object.fromEntries(states.map((state) => [state, taskStatus(state)])), {
    queued: 'started',
    assigned: 'started',
    running: 'started',
    passed: 'completed',
    failed: 'completed',
    error: 'failed',
    cancelled: 'failed',
  })
})

test('hosts.md 5: three periods of an agent, two missed pings of an original host', () => {
  assert.deepEqual(
    [offlineAfterSeconds(10), offlineAfterSeconds(300), offlineAfterSeconds(1), offlineAfterSeconds(null)],
    [30, 900, 5, 660],
  )
  assert.deepEqual(leaseSeconds, { user: 300, heartbeat: 45, run: 30 })
})
