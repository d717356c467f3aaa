import { setTimeout } from 'node:timers/promises'
import type { Clock } from './driver.ts'

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await setTimeout(ms, undefined, { signal })
  },
}
