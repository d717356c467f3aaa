/** Wakes whoever waits. A ring while nobody waits is remembered once, so that no news is slept through. */
export interface Bell {
  ring(): void
  /** Resolves at the next ring, after the time, or at the abort; never rejects. */
  wait(timeoutMs: number | undefined, signal: AbortSignal): Promise<void>
}

export function createBell(): Bell {
  let rung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      if (wake) wake()
      else rung = true
    },
    wait(timeoutMs, signal) {
      if (rung || signal.aborted) {
        rung = false
        return Promise.resolve()
      }
      return new Promise((resolve) => {
        const done = (): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', done)
          wake = undefined
          resolve()
        }
        const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs)
        signal.addEventListener('abort', done)
        wake = done
      })
    },
  }
}
