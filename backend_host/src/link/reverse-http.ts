import type { Server } from 'node:http'
import http2 from 'node:http2'
import type { Duplex } from 'node:stream'

/*
 * HTTP/2 over the link, in the reverse direction: here is its server. What arrives is handed to the agent's own HTTP server,
 * so that a route, its key check and its errors are the same whichever way a call comes.
 */

const mostCalls = 256
const mostHeaderBytes = 16 * 1024

export interface ReverseHttp {
  /** Serves calls that come out of this stream until it ends. */
  serve(bytes: Duplex): void
  close(): void
}

export function createReverseHttp(local: Server): ReverseHttp {
  const sessions = new Set<http2.ServerHttp2Session>()
  const server = http2.createServer({
    settings: { maxConcurrentStreams: mostCalls, maxHeaderListSize: mostHeaderBytes, initialWindowSize: 512 * 1024 },
    maxSessionMemory: 32,
  })
  server.on('request', (request, response) => {
    // The link is for the server's calls; what else listens here is for this machine only.
    if (!request.url.startsWith('/host/')) {
      response.writeHead(404).end()
      return
    }
    endWithLastBytes(response.stream)
    local.emit('request', request, response)
  })
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => undefined)
    session.once('close', () => sessions.delete(session))
  })
  // A peer that breaks the protocol ends its session and nothing else.
  server.on('sessionError', () => undefined)

  return {
    serve: (bytes) => void server.emit('connection', bytes),
    close() {
      for (const session of sessions) session.destroy()
    },
  }
}

/**
 * Node keeps the end of such an answer back for trailers, of which there are none here; it would follow its last bytes as a
 * message of its own.
 */
function endWithLastBytes(stream: http2.ServerHttp2Stream): void {
  const respond = stream.respond.bind(stream)
  stream.respond = (headers, options) => respond(headers, { ...options, waitForTrailers: false })
}
