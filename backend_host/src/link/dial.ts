import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { WebSocket } from 'ws'
import { createBell } from '../outbox/bell.ts'
import { linkBytes } from './link-bytes.ts'
import type { ReverseHttp } from './reverse-http.ts'

/*
 * The agent dials out: one WebSocket to the server, over which the server calls the agent. So a host needs no port that
 * anybody can reach. Registration and beat go on over plain HTTP, whatever becomes of the link.
 */

const protocol = 'virtualpytest.link.v1'
const largestMessage = 1024 * 1024
const firstPauseMs = 300
/** Short enough that all hosts of a server are back within 10 s of its return. */
const longestPauseMs = 5000
/** A server that offers no links: it may be updated some day. */
const absentPauseMs = 300_000
/** A link that lived so long ended by chance, and the next try is a first one. */
const stableMs = 10_000
/** So many times in a row nothing was heard before the link counts as dead. */
const mostMissed = 2

export interface DialOptions {
  serverUrl: string
  apiKey: string | undefined
  hostName: string
  bootId: string
  callKey: string
  http: ReverseHttp
  log: FastifyBaseLogger
  pingMs?: number
  handshakeMs?: number
}

export interface Dial {
  /** Called when the host has registered; only the first call begins. */
  start(): void
  isOpen(): boolean
  stop(): Promise<void>
}

interface Outcome {
  how: 'opened' | 'absent' | 'refused' | 'failed'
  text: string
}

/** dialing -> open -> lost -> pause -> dialing ... for as long as the agent lives. */
export function createDial(options: DialOptions): Dial {
  const { log, http, pingMs = 9_000, handshakeMs = 10_000 } = options
  const stopping = new AbortController()
  const bell = createBell()
  let socket: WebSocket | undefined
  let loop: Promise<void> | undefined
  let said: string | undefined

  const url = new URL(`${options.serverUrl}/server/hosts/link`)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  url.searchParams.set('host_name', options.hostName)
  url.searchParams.set('boot_id', options.bootId)

  /** Resolves when the link has ended, or did not come to be. */
  function dialOnce(): Promise<Outcome> {
    const link = new WebSocket(url, protocol, {
      headers: { 'x-call-key': options.callKey, ...(options.apiKey !== undefined && { 'x-api-key': options.apiKey }) },
      perMessageDeflate: false,
      maxPayload: largestMessage,
      handshakeTimeout: handshakeMs,
      followRedirects: false,
    })
    socket = link
    let outcome: Outcome = { how: 'failed', text: 'closed' }
    link.on('error', (error) => {
      if (outcome.how === 'failed') outcome = { how: 'failed', text: (error as NodeJS.ErrnoException).code ?? error.message }
    })
    link.on('unexpected-response', (request, response) => {
      outcome = { how: response.statusCode === 404 ? 'absent' : 'refused', text: `status ${response.statusCode}` }
      readReason(response, (code) => {
        // A server that knows links and not this host: the beat registers again.
        if (code === 'not_registered') outcome.how = 'refused'
        if (code !== undefined) outcome.text += ` ${code}`
        request.destroy()
        link.terminate()
      })
    })
    link.once('open', () => {
      outcome = { how: 'opened', text: '' }
      said = undefined
      log.info('link to the server is open')
      const bytes = linkBytes(link)
      bytes.on('error', () => undefined)
      http.serve(bytes)
    })
    const stopPings = keepAlive(link)
    return new Promise((resolve) => {
      link.once('close', (code, reason) => {
        stopPings()
        if (outcome.how === 'opened') outcome.text = `${code} ${reason.toString().slice(0, 200)}`
        resolve(outcome)
      })
    })
  }

  /** A link on which nothing was heard is asked, and given up within three times pingMs. */
  function keepAlive(link: WebSocket): () => void {
    let missed = 0
    const note = (): void => {
      missed = 0
    }
    link.on('message', note).on('ping', note).on('pong', note)
    const timer = setInterval(() => {
      if (link.readyState !== link.OPEN) return
      if (missed < mostMissed) {
        missed += 1
        // The server asks as often: usually that is enough.
        if (missed > 1) link.ping()
        return
      }
      // An agent that was stopped for a while finds its timers due and the signs of life unread: those are read first.
      setImmediate(() => {
        if (missed >= mostMissed) link.terminate()
      })
    }, pingMs)
    return () => clearInterval(timer)
  }

  async function run(): Promise<void> {
    let failures = 0
    while (!stopping.signal.aborted) {
      const startedAt = performance.now()
      const { how, text } = await dialOnce()
      if (stopping.signal.aborted) return
      tell(how, text)
      failures = how === 'opened' && performance.now() - startedAt > stableMs ? 0 : failures + 1
      const pauseMs = how === 'absent' ? absentPauseMs : Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1))
      // Hosts that lost their server together must not come back together.
      await bell.wait(pauseMs * (0.2 + Math.random() * 0.8), stopping.signal)
    }
  }

  /** The same trouble is said once, not with every try. */
  function tell(how: Outcome['how'], text: string): void {
    const words = {
      opened: 'link to the server lost; dialing again',
      absent: 'the server offers no links; it must reach this host by its URL',
      refused: 'the server refused the link; trying again',
      failed: 'link to the server not possible; trying again',
    }[how]
    const fact = `${words} ${text}`
    log[fact === said ? 'debug' : how === 'refused' || how === 'failed' ? 'warn' : 'info']({ reason: text }, words)
    said = fact
  }

  return {
    start() {
      loop ??= run().catch((error: unknown) => log.error({ err: error }, 'the link failed inside the agent'))
    },
    isOpen: () => socket?.readyState === WebSocket.OPEN,
    async stop() {
      stopping.abort()
      if (socket?.readyState === WebSocket.OPEN) socket.close(1001, 'the agent stops')
      const late = setTimeout(() => socket?.terminate(), 1000)
      if (socket?.readyState === WebSocket.CONNECTING) socket.terminate()
      await loop
      clearTimeout(late)
      http.close()
    },
  }
}

/** The code of a refusal; whatever else answers there is not read for long. */
function readReason(response: IncomingMessage, done: (code: string | undefined) => void): void {
  let text = ''
  const finish = (): void => done(/"code":"([a-z_]{1,40})"/.exec(text)?.[1])
  response.setEncoding('utf8')
  response.on('data', (part: string) => {
    text += part
    if (text.length > 10_000) response.destroy()
  })
  response.once('error', () => undefined)
  response.once('close', finish)
  setTimeout(() => response.destroy(), 2000).unref()
}
