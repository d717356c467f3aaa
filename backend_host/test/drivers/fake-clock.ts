import type { Clock } from '../../src/drivers/driver.ts'

export type FakeClock = Clock & { pass(ms: number): void }

/** Time that passes only when somebody sleeps or the test says so; sleeping takes no time of the test. */
export function createFakeClock(start = Date.parse('2026-11-20T19:47:00Z')): FakeClock {
  let now = start
  return {
    now: () => now,
    pass(ms) {
      now += ms
    },
    async sleep(ms, signal) {
      signal.throwIfAborted()
      now += ms
    },
  }
}
