import { setTimeout as pause } from 'node:timers/promises'

/** Reached only when something is broken, so it is generous: a machine that is slow at the moment is not broken. */
export const patienceMs = 120_000
/** A longer step means that this process stood still: nothing could happen meanwhile, so the rest does not count. */
const longestStepMs = 5000

/** Waits until the check gives a value, or fails after the deadline with what it waited for. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  timeoutMs = patienceMs,
): Promise<NonNullable<Exclude<T, false>>> {
  let left = timeoutMs
  for (;;) {
    const from = performance.now()
    const value = await check()
    if (value !== undefined && value !== null && value !== false) return value as NonNullable<Exclude<T, false>>
    if (left < 0) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await pause(20)
    left -= Math.min(performance.now() - from, longestStepMs)
  }
}
