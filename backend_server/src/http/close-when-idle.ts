import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * For a server that is made now: a function that stops listening and waits for the requests that are open. A connection is
 * closed as soon as it is idle: the close itself looks only once, and one that was busy at that moment would then hold up the
 * stop for its whole keep-alive time (72 s). Connections on which nobody has said anything, as browsers open them in advance,
 * are busy for Node until the time for a request is over (60 s); they are closed too.
 */
export function createIdleCloser(server: Server): (close: () => Promise<unknown>) => Promise<void> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  const closeIdle = (): void => {
    server.closeIdleConnections()
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy()
  }
  return async (close) => {
    const look = setInterval(closeIdle, 100)
    try {
      await close()
    } finally {
      clearInterval(look)
    }
  }
}

/** Closes a plain server, whether it ever listened or not. */
export const closePlainServer = (server: Server): Promise<void> =>
  new Promise((resolve) => server.close(() => resolve(undefined)))
