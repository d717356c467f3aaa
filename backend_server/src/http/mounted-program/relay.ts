import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Transform } from 'node:stream'
import { createProxyServer } from 'httpxy'
import { Agent, type Dispatcher } from 'undici'
import { createBufferCollector } from './collect-buffers.ts'
import { answerHeaders } from './outgoing-headers.ts'

/*
 * One exchange with the program behind us: bodies flow in both directions at the pace of the slower side, a client that leaves
 * ends the request to the program, a program that breaks off ends the answer to the client. Requests go over undici, which needs
 * half the processor time of node:http's client; upgrades, which undici has no use for here, over httpxy.
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
  const agent = new Agent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
    keepAliveTimeout: idleMs,
    keepAliveMaxTimeout: idleMs,
    pipelining: 1,
    allowH2: false,
  })
  const answering = new Set<ServerResponse>()
  const upgrades = createUpgrades()
  const countBytes = createBufferCollector()

  return {
    /** `request.headers` must already be those for the program. */
    request(request: IncomingMessage, response: ServerResponse, target: URL, exchange: Exchange): void {
      answering.add(response)
      const body = bodyOf(request, countBytes)
      let controller: Dispatcher.DispatchController | undefined
      response.once('close', () => {
        answering.delete(response)
        body?.release()
        if (!response.writableFinished) controller?.abort(new Error('the client left'))
      })
      const options = { origin: target.origin, path: request.url ?? '/', method: request.method as Dispatcher.HttpMethod }
      const headers = withoutFraming(request.headers)
      agent.dispatch(
        { ...options, headers, body: body?.stream ?? null },
        {
          onRequestStart(started) {
            controller = started
            if (response.destroyed) started.abort(new Error('the client left'))
          },
          onResponseStart(answer, status, parsed, text) {
            // 102 and 103 only announce; the answer follows.
            if (status >= 200) startAnswer(response, status, text, answer.rawHeaders as Buffer[], String(parsed.connection ?? ''))
          },
          onResponseData(answer, part) {
            countBytes(part.length)
            if (response.write(part)) return
            answer.pause()
            response.once('drain', () => answer.resume())
          },
          onResponseEnd: () => void response.end(),
          onResponseError(_controller, error) {
            body?.release()
            if (response.headersSent) response.destroy()
            else if (!response.destroyed) exchange.onFailure(error)
          },
        },
      )
    },
    upgrade: (...args: Parameters<typeof upgrades.pass>) => upgrades.pass(...args),
    /** Cuts open sockets at once and answers that are still on their way after `graceMs`. */
    stop(graceMs: number): void {
      upgrades.stop()
      const cut = (): void => {
        for (const response of answering) response.destroy()
        agent.destroy().catch(() => {})
      }
      if (answering.size === 0) cut()
      else setTimeout(cut, graceMs).unref()
    },
  }
}

interface Body {
  stream: Transform
  /** Nobody wants the rest: it is read away, so that the client can read its answer. */
  release: () => void
}

/** A stream of its own, because a failed request destroys it, and with the client's own the way for the refusal would be gone. */
function bodyOf(request: IncomingMessage, countBytes: (bytes: number) => void): Body | undefined {
  const { headers } = request
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return undefined
  const stream = new Transform({
    transform(part: Buffer, _encoding, done) {
      countBytes(part.length)
      done(null, part)
    },
  })
  // Whoever destroys it has said why already.
  stream.on('error', () => {})
  request.once('close', () => {
    if (!request.readableEnded) stream.destroy()
  })
  request.pipe(stream)
  return {
    stream,
    release() {
      if (request.readableEnded || request.destroyed) return
      request.unpipe(stream)
      request.resume()
    },
  }
}

/** A body without a length is sent in chunks, whatever the client called it. */
function withoutFraming(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  const { 'transfer-encoding': _chunked, ...kept } = headers
  return kept
}

function startAnswer(
  response: ServerResponse,
  status: number,
  text: string | undefined,
  raw: Buffer[],
  connection: string,
): void {
  // Headers that plugins of this server put on every answer are not the program's.
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  const headers = answerHeaders(
    raw.map((part) => part.toString('latin1')),
    connection,
  )
  response.writeHead(status, text || undefined, headers)
  // A stream may send its first byte much later.
  if (!headers.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'content-length')) response.flushHeaders()
}

function createUpgrades() {
  const proxy = createProxyServer()
  const exchanges = new WeakMap<IncomingMessage, Exchange>()
  const sockets = new Set<Socket>()

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
  proxy.on('error', (error, request, out) => {
    const exchange = request && exchanges.get(request)
    if (exchange) exchange.onFailure(error)
    else out?.destroy()
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
    pass(request: IncomingMessage, socket: Socket, head: Buffer, target: URL, exchange: Exchange): void {
      exchanges.set(request, exchange)
      proxy.ws(request, socket, { target, upgradeTimeout: handshakeTimeoutMs }, head).catch(() => {})
    },
    stop(): void {
      for (const socket of sockets) socket.destroy()
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
