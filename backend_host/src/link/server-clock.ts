/** What is known of the server's time: deadlines and the times of steps are the server's, whatever this machine believes. */
export interface ServerClock {
  /** Epoch milliseconds of the server; of this machine until the first beat was answered. */
  now(): number
  /** The server said `serverMs`; the request took from `sentAt` to `receivedAt` on this machine's own clock. */
  learn(serverMs: number, sentAt: number, receivedAt: number): void
}

/** Half the way is added, as in any simple time protocol; an error of some milliseconds does not matter here. */
export function createServerClock(localNow: () => number = Date.now): ServerClock {
  let offsetMs = 0
  return {
    now: () => localNow() + offsetMs,
    learn(serverMs, sentAt, receivedAt) {
      offsetMs = serverMs - (sentAt + receivedAt) / 2
    },
  }
}
