/** One step of a small generator (mulberry32). The seed is part of the state, so that a run can be repeated exactly. */
export function nextRandom(seed: number): { value: number; seed: number } {
  const next = (seed + 0x6d2b79f5) >>> 0
  let mixed = next
  mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return { value: ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296, seed: next }
}

export function randomBetween(seed: number, low: number, high: number): { value: number; seed: number } {
  const drawn = nextRandom(seed)
  return { value: Math.round(low + drawn.value * (high - low)), seed: drawn.seed }
}
