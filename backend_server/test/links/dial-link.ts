import http2 from 'node:http2'
import { Duplex } from 'node:stream'
import { json } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { linkBytes } from '../../src/features/host-links/link-bytes.ts'
import type { Lab } from '../start-lab.ts'

export interface LinkFacts {
  hostName: string
  bootId: string
  callKey: string
}
export const natHost: LinkFacts = { hostName: 'nat-1', bootId: 'boot-1', callKey: 'call-key-of-this-start' }

/** Makes the server know an agent whose URL nobody can reach. */
export async function registerNatHost(lab: Lab, more: Record<string, unknown> = {}, headers: Record<string, string> = {}) {
  return lab.post(
    '/server/system/register',
    {
      host_name: natHost.hostName,
      host_url: 'http://127.0.0.1:1',
      agent: 'virtualpytest-host',
      ping_interval_s: 60,
      boot_id: natHost.bootId,
      call_key: natHost.callKey,
      link_only: true,
      devices: [{ device_id: 'device1', device_name: 'Box', device_model: 'stb', device_capabilities: { remote: 'ir_remote' } }],
      ...more,
    },
    { headers },
  )
}

export type Handler = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void

export interface DialedLink {
  socket: WebSocket
  bytes: Duplex
  /** Status and body of the refusal, or undefined when the link is open. */
  refusal: { status: number; body: Record<string, unknown> } | undefined
  closed: Promise<{ code: number; reason: string }>
}

/** A host's end of a link, as a stranger might write it. */
export async function dialLink(
  t: TestContext,
  lab: { url: string },
  options: {
    facts?: Partial<LinkFacts>
    headers?: Record<string, string>
    protocol?: string
    path?: string
    handle?: Handler
    /** No HTTP/2: the test writes bytes itself. */
    raw?: boolean
    /** Everything that is written within some milliseconds travels as one message. */
    gather?: boolean
  } = {},
): Promise<DialedLink> {
  const facts = { ...natHost, ...options.facts }
  const url = new URL(`${lab.url.replace('http', 'ws')}${options.path ?? '/server/hosts/link'}`)
  url.searchParams.set('host_name', facts.hostName)
  url.searchParams.set('boot_id', facts.bootId)
  const socket = new WebSocket(url, options.protocol ?? 'virtualpytest.link.v1', {
    headers: { ...(facts.callKey !== '' && { 'x-call-key': facts.callKey }), ...options.headers },
    perMessageDeflate: false,
  })
  socket.on('error', () => undefined)
  t.after(() => socket.terminate())
  // At once: what arrives before anybody listens would be lost.
  const bytes = options.gather ? gatheringStream(socket) : linkBytes(socket)
  bytes.on('error', () => undefined)
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  const refusal = await new Promise<DialedLink['refusal']>((resolve, reject) => {
    socket.once('open', () => resolve(undefined))
    socket.once('unexpected-response', (_request, response) => {
      json(response).then((body) => resolve({ status: response.statusCode ?? 0, body: body as Record<string, unknown> }), reject)
    })
  })
  if (refusal === undefined && !options.raw) serve(bytes, options.handle ?? answerSuccess)
  return { socket, bytes, refusal, closed }
}

function gatheringStream(socket: WebSocket): Duplex {
  let parts: Buffer[] = []
  const flush = (): void => {
    socket.send(Buffer.concat(parts))
    parts = []
  }
  const bytes = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      if (parts.push(chunk) === 1) setTimeout(flush, 20)
      done()
    },
  })
  socket.on('message', (data: Buffer) => bytes.push(data))
  socket.once('close', () => bytes.destroy())
  return bytes
}

const answerSuccess: Handler = (_request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end('{"success":true}')
}

function serve(bytes: Duplex, handle: Handler): void {
  const server = http2.createServer()
  server.on('session', (session) => session.on('error', () => undefined))
  server.on('request', handle)
  server.emit('connection', bytes)
}

export const take = (lab: Lab, options: { headers?: Record<string, string> } = {}) =>
  lab.post<Record<string, unknown>>(
    '/server/control/takeControl',
    { host_name: natHost.hostName, device_id: 'device1', session_id: 'me' },
    options,
  )
