import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRoomPositions } from './room-positions.ts'

/** Small repeatable randomness. */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
}

test('N11: whatever rooms are added from wherever, each event is sent once, and none that was asked for is left out', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const roll = dice(seed)
    const events = Array.from({ length: 40 }, (_one, index) => ({
      seq: index + 1,
      rooms: ['a', 'b', 'c', 'd'].filter(() => roll(3) === 0),
    }))
    const positions = createRoomPositions()
    const asked = new Map<string, number>()
    const received: number[] = []
    for (let turn = 0; turn < 20; turn += 1) {
      if (roll(2) === 0) {
        const names = ['a', 'b', 'c', 'd'].filter(() => roll(3) === 0)
        const after = roll(41)
        positions.add(names, after)
        for (const name of names) asked.set(name, Math.min(asked.get(name) ?? Number.POSITIVE_INFINITY, after))
      } else pumpTo(positions.cursor() + 1 + roll(10))
    }
    pumpTo(40)
    const expected = events
      .filter((event) => event.rooms.some((name) => event.seq > (asked.get(name) ?? Number.POSITIVE_INFINITY)))
      .map((event) => event.seq)
    assert.deepEqual(
      received.toSorted((a, b) => a - b),
      expected,
      `seed ${seed}`,
    )

    function pumpTo(target: number): void {
      if (positions.cursor() === Number.POSITIVE_INFINITY) return
      const upTo = Math.min(target, 40)
      received.push(...events.filter((event) => event.seq <= upTo && positions.wants(event)).map((event) => event.seq))
      positions.advance(Math.max(upTo, positions.cursor()))
    }
  }
})

test('without a step back, events come in order', () => {
  const positions = createRoomPositions()
  positions.add(['a'], 3)
  positions.add(['b'], 5)
  const wanted = [1, 2, 3, 4, 5, 6].filter((seq) => positions.wants({ seq, rooms: [seq % 2 === 0 ? 'a' : 'b'] }))
  assert.deepEqual(wanted, [4, 6])
})

test('rooms and steps back have limits', () => {
  const positions = createRoomPositions()
  assert.throws(
    () =>
      positions.add(
        Array.from({ length: 501 }, (_one, index) => `host:${index}`),
        0,
      ),
    /at most 500 rooms/,
  )
  positions.add(['a'], 1000)
  assert.throws(() => {
    for (let after = 999; after > 0; after -= 1) {
      positions.advance(positions.cursor() + 2)
      positions.add(['a'], after)
    }
  }, /too often/)
})
