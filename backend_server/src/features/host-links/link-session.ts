import http2 from 'node:http2'
import type { WebSocket } from 'ws'
import { HostConnectionError, type HostReply, type HostRequest, type HostTransport } from '../hosts/index.ts'
import { announcedBytes, answerBody } from './answer-body.ts'
import { createAllowance } from './link-allowance.ts'
import { linkBytes } from './link-bytes.ts'
import { createSignOfLife } from './sign-of-life.ts'

/*
 * HTTP/2 over the WebSocket of a host, in the reverse direction: here is its client. Many calls share the link, each with a
 * flow control of its own, so that a video nobody reads holds up no key press.
 */

/** Bytes of one answer that may be on their way to a reader that does not read. */
const streamWindow = 512 * 1024
/** What all answers of a link together may have on their way. The protocol's own 64 kB would be the most for each round trip. */
const linkWindow = 4 * 1024 * 1024
const mostHeaderBytes = 16 * 1024
/** What a host may send that nobody asked for. */
const unasked = { perSecond: 256 * 1024, burst: 4 * 1024 * 1024 }
const closeMs = 2000

export const closeCodes = { goingAway: 1001, wrongData: 1003, replaced: 4001, fenced: 4002, flood: 1008 } as const

export interface LinkSession {
  send: HostTransport
  openCalls(): number
  isOpen(): boolean
  /** Ends calls that are under way; what they did is not known. */
  close(code: number, reason: string): void
  /** Takes no new call and closes when the present ones have ended. */
  closeWhenIdle(code: number, reason: string): void
  /** Asks for a sign of life; ends the link when it gave none several times. */
  ping(): void
}

export function openLinkSession(socket: WebSocket, onClosed: () => void): LinkSession {
  const bytes = linkBytes(socket)
  const session = http2.connect('http://host', {
    createConnection: () => bytes,
    settings: { enablePush: false, initialWindowSize: streamWindow, maxHeaderListSize: mostHeaderBytes },
    maxSessionMemory: 32,
    maxReservedRemoteStreams: 0,
  })
  session.once('connect', () => session.setLocalWindowSize(linkWindow))
  const life = createSignOfLife(socket)
  const allowance = createAllowance(unasked)
  let calls = 0
  let draining = false

  socket.on('message', (data: Buffer, isBinary) => {
    note(data.length)
    // Only bytes travel here; whoever sends text speaks another protocol.
    if (!isBinary) close(closeCodes.wrongData, 'text is not understood here')
  })
  socket.on('ping', (data) => note(data.length))
  socket.on('pong', (data) => note(data.length))
  function note(bytesReceived: number): void {
    life.heard()
    if (!allowance.spend(bytesReceived, calls * streamWindow)) close(closeCodes.flood, 'more than anybody has asked for')
  }
  // Their reasons are those of the close.
  socket.on('error', () => undefined)
  bytes.on('error', () => undefined)
  session.on('error', () => undefined)
  session.once('close', () => close(closeCodes.goingAway, 'the session ended'))
  socket.once('close', () => {
    session.destroy()
    bytes.destroy()
    onClosed()
  })

  function close(code: number, reason: string): void {
    if (socket.readyState === socket.OPEN) socket.close(code, reason)
    session.destroy()
    // A peer that is gone answers no farewell.
    setTimeout(() => socket.terminate(), closeMs).unref()
  }

  const send: HostTransport = (_host, request) =>
    new Promise<HostReply>((resolve, reject) => {
      if (draining || session.closed || session.destroyed) {
        reject(new HostConnectionError('LINK_LOST', { begun: false, text: 'the link of the host has just closed' }))
        return
      }
      const stream = session.request(headersOf(request), { endStream: request.body === undefined, signal: request.signal })
      calls += 1
      let isAnswered = false
      stream.once('response', ({ ':status': said = 502, ...headers }) => {
        // Numbers outside are no HTTP, and a server that writes them on fails itself.
        const status = said >= 200 && said <= 599 ? said : 502
        isAnswered = true
        allowance.earnAnswer()
        const expected = announcedBytes(request.method, status, headers)
        const body = answerBody(stream, { expected, isLinkOpen: () => !session.destroyed, failureOf, onBytes: allowance.earn })
        resolve({ status, headers, body })
      })
      stream.once('error', (error: NodeJS.ErrnoException) => reject(failureOf(error)))
      stream.once('close', () => {
        calls -= 1
        // Somebody left in the middle: what was on its way then still arrives.
        if (!stream.readableEnded) allowance.earn(streamWindow)
        if (!isAnswered) reject(failureOf())
      })
      if (request.body !== undefined) stream.end(request.body)

      function failureOf(error?: Error): Error {
        if (request.signal.aborted) return request.signal.reason as Error
        // The one answer that says that the call was not looked at.
        const begun = stream.rstCode !== http2.constants.NGHTTP2_REFUSED_STREAM
        return new HostConnectionError('LINK_LOST', { begun, text: 'the link of the host was lost', cause: error })
      }
    })

  return {
    send,
    openCalls: () => calls,
    isOpen: () => !draining && !session.closed && !session.destroyed,
    close,
    closeWhenIdle(code, reason) {
      draining = true
      session.close(() => close(code, reason))
    },
    ping: () => life.ask(),
  }
}

/** Names and values as they are; HTTP/2 carries lengths, so no value can become a second header. Hop-by-hop ones stay here. */
function headersOf({ method, path, headers, body }: HostRequest): http2.OutgoingHttpHeaders {
  const kept = Object.entries(headers).filter(([name]) => /^[a-z][a-z0-9-]*$/.test(name) && !hopByHop.has(name))
  return {
    ':method': method,
    ':path': path,
    ...Object.fromEntries(kept),
    ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
  }
}
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'host',
])
