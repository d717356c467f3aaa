import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { alertMoves } from './alerts/index.ts'
import { deviceHealthMoves, deviceMoves } from './devices/index.ts'
import { hostMoves, offlineAfterSeconds } from './hosts/index.ts'
import { leaseAskMoves, leaseMoves, leaseSeconds } from './leases/index.ts'
import { finalRunStatuses, isFinalRun, openRunStatuses, type RunStatus, runMoves, taskStatus } from './runs/index.ts'

const tables: Record<string, { moves: Record<string, readonly string[]>; first: string; final: string[] }> = {
  run: { moves: runMoves, first: 'queued', final: ['passed', 'failed', 'error', 'cancelled'] },
  alert: { moves: alertMoves, first: 'active', final: ['resolved'] },
  'question to a holder': { moves: leaseAskMoves, first: 'open', final: ['given', 'refused', 'void'] },
  lease: { moves: leaseMoves, first: 'waiting', final: ['released', 'expired', 'revoked'] },
  device: { moves: deviceMoves, first: 'offline', final: ['retired'] },
  'health of a device': { moves: deviceHealthMoves, first: 'unknown', final: [] },
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

/** Moves of the mermaid diagrams of the glossary, by heading, in their order there. */
function documentedMoves(): Map<string, { moves: string[]; final: string[] }[]> {
  const text = readFileSync(new URL('../../docs/glossary.md', import.meta.url), 'utf8')
  const found = new Map<string, { moves: string[]; final: string[] }[]>()
  for (const section of text.split(/^### /m).slice(1)) {
    const diagrams = [...section.matchAll(/^```mermaid\nstateDiagram-v2\n(.*?)^```$/gms)].map(([, body = '']) => {
      const lines = [...body.matchAll(/^ {2}(\w+|\[\*\]) --> (\w+|\[\*\])(?:: .+)?$/gm)]
      assert.equal(lines.length, body.trim().split('\n').length, `a line that is no move in: ${body}`)
      const pairs = lines.map(([, from = '', to = '']) => [from, to] as const).filter(([from]) => from !== '[*]')
      return {
        moves: pairs
          .filter(([, to]) => to !== '[*]')
          .map(([from, to]) => `${from} > ${to}`)
          .sort(),
        final: pairs
          .filter(([, to]) => to === '[*]')
          .map(([from]) => from)
          .sort(),
      }
    })
    found.set(section.split('\n', 1)[0] ?? '', diagrams)
  }
  return found
}

test('the diagrams of the glossary are the tables of the code: every move and every end, no more', () => {
  const documented = documentedMoves()
  const shown = (moves: Record<string, readonly string[]>) => ({
    moves: Object.entries(moves)
      .flatMap(([from, nexts]) => nexts.map((to) => `${from} > ${to}`))
      .sort(),
    final: Object.keys(moves)
      .filter((state) => moves[state]?.length === 0)
      .sort(),
  })
  assert.deepEqual(documented.get('Device'), [shown(deviceMoves)])
  assert.deepEqual(documented.get('Health of a device'), [shown(deviceHealthMoves)])
  assert.deepEqual(documented.get('Lease'), [shown(leaseMoves), shown(leaseAskMoves)])
})
