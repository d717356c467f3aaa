import { Agent, type ClientRequest, type IncomingMessage, ServerResponse } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import type { Socket } from 'node:net'
import { createProxyServer } from 'httpxy'
import { createBufferCollector } from './collect-buffers.ts'
import { answerHeaders } from './outgoing-headers.ts'

/*
 * One exchange with the program behind us, over httpxy: bodies flow in both directions at the pace of the slower side,
 * a client that leaves ends the request to the program, a program that breaks off ends the answer to the client.
 */

const connectTimeoutMs = 5000
/** Silence between two bytes; longer than any query of a dashboard. */
const silenceMs = 330_000
const handshakeTimeoutMs = 30_000
/** Idle connections are dropped before any common server drops them, so that none is used while it is being closed. */
const idleMs = 4000

export interface Exchange {
  /** The program could not be reached, or broke off before it answered. Not called for a client that left. */
  onFailure: (error: Error) => void
}

export function createRelay() {
  const proxy = createProxyServer()
  const agents = {
    'http:': new Agent({ keepAlive: true, timeout: idleMs, maxFreeSockets: 64 }),
    'https:': new TlsAgent({ keepAlive: true, timeout: idleMs, maxFreeSockets: 64 }),
  }
  const exchanges = new WeakMap<IncomingMessage, Exchange>()
  const answering = new Set<ServerResponse>()
  const sockets = new Set<Socket>()
  const collectBuffersOf = createBufferCollector()

  proxy.on('proxyReq', (outgoing, request) => {
    limitConnecting(outgoing)
    // In the same turn httpxy begins to read the body; a turn earlier this would let it flow into nothing.
    collectBuffersOf(request)
  })
  proxy.on('proxyReqWs', (outgoing: ClientRequest, request: IncomingMessage, socket: Socket) => {
    limitConnecting(outgoing)
    outgoing.once('upgrade', (_answer, upstream: Socket) => {
      // From here on the bytes belong to the two ends; a failure is a closed connection and no answer.
      exchanges.delete(request)
      join(socket, upstream)
    })
    outgoing.once('response', () => exchanges.delete(request))
    socket.once('close', () => outgoing.destroy())
  })
  proxy.on('proxyRes', (answer, _request, response) => {
    collectBuffersOf(answer)
    passAnswer(answer, response)
  })
  proxy.on('error', (error, request, out) => {
    const exchange = request && exchanges.get(request)
    if (out instanceof ServerResponse ? out.headersSent : !exchange) {
      out?.destroy()
      return
    }
    exchange?.onFailure(error)
  })

  /** Two ends of an open socket live and die together. */
  function join(socket: Socket, upstream: Socket): void {
    const ends = [socket, upstream]
    for (const end of ends) {
      sockets.add(end)
      end.once('close', () => {
        for (const one of ends) {
          sockets.delete(one)
          one.destroy()
        }
      })
    }
  }

  return {
    /** `request.headers` must already be those for the program. */
    request(request: IncomingMessage, response: ServerResponse, target: URL, exchange: Exchange): void {
      exchanges.set(request, exchange)
      answering.add(response)
      response.once('close', () => answering.delete(response))
      const agent = agents[target.protocol === 'https:' ? 'https:' : 'http:']
      // Rejects only for a response that broke: then nobody is left to be told.
      proxy.web(request, response, { target, agent, proxyTimeout: silenceMs, selfHandleResponse: true }).catch(() => {})
    },
    upgrade(request: IncomingMessage, socket: Socket, head: Buffer, target: URL, exchange: Exchange): void {
      exchanges.set(request, exchange)
      proxy.ws(request, socket, { target, upgradeTimeout: handshakeTimeoutMs }, head).catch(() => {})
    },
    /** Cuts open sockets at once and answers that are still on their way after `graceMs`. */
    stop(graceMs: number): void {
      for (const socket of sockets) socket.destroy()
      const cut = (): void => {
        for (const response of answering) response.destroy()
        agents['http:'].destroy()
        agents['https:'].destroy()
      }
      if (answering.size === 0) cut()
      else setTimeout(cut, graceMs).unref()
    },
  }
}

/** A black hole in place of the program must not hold the client for as long as a slow answer may. */
function limitConnecting(outgoing: ClientRequest): void {
  const watch = (socket: Socket): void => {
    if (!socket.connecting) return
    const timer = setTimeout(() => outgoing.destroy(new Error('connecting took too long')), connectTimeoutMs)
    const clear = (): void => clearTimeout(timer)
    socket.once('connect', clear).once('close', clear)
  }
  if (outgoing.socket) watch(outgoing.socket)
  else outgoing.once('socket', watch)
}

function passAnswer(answer: IncomingMessage, response: ServerResponse): void {
  if (response.headersSent || response.destroyed) {
    answer.destroy()
    return
  }
  // Headers that plugins of this server put on every answer are not the program's.
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  const headers = answerHeaders(answer.rawHeaders, answer.headers.connection)
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage || undefined, headers)
  // A stream may send its first byte much later.
  if (answer.headers['content-length'] === undefined) response.flushHeaders()
  answer.pipe(response)
}
