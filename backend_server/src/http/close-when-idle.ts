import type { Server } from 'node:http'

/**
 * Stops listening and waits for the requests that are open. A connection is closed as soon as it is idle: the close itself
 * looks only once, and one that was busy at that moment would then hold up the stop for its whole keep-alive time (72 s).
 */
export async function closeWhenIdle(server: Server, close: () => Promise<unknown>): Promise<void> {
  const look = setInterval(() => server.closeIdleConnections(), 100)
  try {
    await close()
  } finally {
    clearInterval(look)
  }
}

/** The same for a plain server, whether it ever listened or not. */
export const closePlainServer = (server: Server): Promise<void> =>
  closeWhenIdle(server, () => new Promise((resolve) => server.close(() => resolve(undefined))))
