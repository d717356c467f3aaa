import os from 'node:os'
import type { TestContext } from 'node:test'

/*
 * What the reliability tests have in common: their size (gate form by default, `npm run reliability` sets the long one in the
 * environment), chance that can be repeated, and figures that are never printed without N, seed and machine.
 */

/** A size of the test: the gate's, unless the environment names another. */
export function sizeOf(
  name: 'TEST_ROUNDS' | 'TEST_STEPS' | 'TEST_PARALLEL' | 'TEST_SECONDS' | 'TEST_LINES',
  gate: number,
): number {
  const text = process.env[name]
  if (text === undefined || text === '') return gate
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} must be a whole number above 0`)
  return value
}

export interface Chance {
  readonly seed: number
  /** From 0 to below 1. */
  next: () => number
  /** A whole number from `least` to `most`, both included. */
  between: (least: number, most: number) => number
  pick: <T>(items: readonly T[]) => T | undefined
  isTrue: (probability: number) => boolean
  /** One of the items, the heavier the likelier. */
  weigh: <T extends { weight: number }>(items: readonly T[]) => T | undefined
}

/** Random choices from a printed seed; TEST_SEED repeats them. */
export function chanceOf(t: TestContext, name: string): Chance {
  const seed = process.env.TEST_SEED ? Number(process.env.TEST_SEED) : Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`${name}: seed ${seed} (TEST_SEED=${seed} repeats the choices)`)
  return createChance(seed)
}

/** Mulberry32: small, and the same on every machine. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    seed,
    next,
    between: (least, most) => least + Math.floor(next() * (most - least + 1)),
    pick: (items) => items[Math.floor(next() * items.length)],
    isTrue: (probability) => next() < probability,
    weigh(items) {
      let at = next() * items.reduce((sum, item) => sum + item.weight, 0)
      for (const item of items) {
        at -= item.weight
        if (at < 0) return item
      }
      return items.at(-1)
    },
  }
}

/** The line that may be quoted: `npm run reliability` collects these. */
export function figure(t: TestContext, name: string, text: string): void {
  t.diagnostic(`figure ${name}: ${text} [${machine()}]`)
}

export const machine = (): string =>
  `${os.availableParallelism()} cores, Node ${process.versions.node}, ${os.platform()} ${os.arch()}`

/** The value below which `share` of the samples lie. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}
