import type { WebSocket } from 'ws'

/** So many questions in a row stay unanswered before a link counts as dead. */
const mostMissed = 2

/** Asks the peer for a sign of life with each call, and ends the socket of one that gives none. */
export function createSignOfLife(socket: WebSocket): { heard: () => void; ask: () => void } {
  let missed = 0
  return {
    heard() {
      missed = 0
    },
    ask() {
      if (socket.readyState !== socket.OPEN) return
      if (missed < mostMissed) {
        missed += 1
        socket.ping()
        return
      }
      // A process that was stopped for a while finds its timers due and the answers unread: those are read first.
      setImmediate(() => {
        if (missed >= mostMissed) socket.terminate()
      })
    },
  }
}
