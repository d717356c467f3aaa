import { randomUUID } from 'node:crypto'
import { type IncomingMessage, METHODS, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { LabError } from '@virtualpytest/shared'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { toLabError } from '../errors.ts'
import { outgoingHeaders } from './outgoing-headers.ts'
import { type ProgramRequest, readProgramRequest, splitUrl, wantsPage } from './program-request.ts'
import { endSocket, jsonRefusal, type Page, pageRefusal, plainPage, type Refusal, sendRefusal } from './refusal.ts'
import { createRelay } from './relay.ts'

/*
 * Another program under a path of this server: everything below `prefix` goes to it, prefix included, and its answers come
 * back untouched. This server decides who may come in and says so to the program in headers that nobody else can set. It
 * neither reads nor stores bodies.
 */

export interface MountedProgram {
  /** Such as `/grafana`. The prefix without a slash redirects to the one with it. */
  prefix: `/${string}`
  /** What people call the program. */
  title: string
  /** Where it listens; undefined while it is switched off. Its path counts for nothing. */
  target: () => URL | undefined
  /** Who is asking, as headers for the program. Throws a LabError for those who may not come in. */
  authorize: (request: ProgramRequest) => Promise<Record<string, string>>
  /** A request may have to wait for its turn; what this returns is called when the answer has ended. */
  turn?: (request: ProgramRequest, identity: Record<string, string>) => Promise<(() => void) | undefined>
  unavailable: (reason: 'off' | 'down') => LabError
  /** Origins whose pages may show those of this server in a frame. */
  frameOrigins?: readonly string[]
  /** A page of its own for some refusals, such as a way to sign in. */
  page?: (error: LabError, request: ProgramRequest) => Page | undefined
  /** Headers a client may not send, by name in lower case with dashes; those that `authorize` sets belong here. */
  withheldHeaders: RegExp
  /** Cookies that are this server's own affair. */
  withheldCookies?: readonly string[]
  /** Proxies in front of this server that may name the client. */
  trustedProxies: number
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Read by @fastify/cors, which does not declare it. */
    cors?: false
  }
}

/** Mounts the program on the routes and the upgrades of one server. `stop` before the server closes: open sockets would hold it. */
export function mountProgram(app: FastifyInstance, server: Server, program: MountedProgram): { stop: () => void } {
  const { prefix } = program
  const relay = createRelay()
  const rules = { withheld: program.withheldHeaders, withheldCookies: program.withheldCookies ?? [] }

  /** Makes the message ready to be passed on, or throws. */
  async function admit(
    message: IncomingMessage,
    request: ProgramRequest,
  ): Promise<{ target: URL; identity: Record<string, string> }> {
    const address = program.target()
    if (!address) throw program.unavailable('off')
    const identity = await program.authorize(request)
    const target = new URL('/', address)
    message.headers = outgoingHeaders(request, identity, target, rules)
    return { target, identity }
  }

  function refuse(error: LabError, request: ProgramRequest, requestId: string): Refusal {
    if (!wantsPage(request)) return jsonRefusal(error, requestId)
    const page = program.page?.(error, request) ?? plainPage(program.title, error, { frameOrigins: program.frameOrigins ?? [] })
    return pageRefusal(error, requestId, page)
  }

  async function pass(request: FastifyRequest, response: ServerResponse): Promise<void> {
    const asked = readProgramRequest(request.raw, program.trustedProxies)
    try {
      const { target, identity } = await admit(request.raw, asked)
      const done = await program.turn?.(asked, identity)
      if (done) response.once('close', done)
      if (response.destroyed) {
        done?.()
        return
      }
      relay.request(request.raw, response, target, {
        onFailure(error) {
          request.log.warn({ err: error, program: prefix }, 'a mounted program did not answer')
          sendRefusal(response, refuse(program.unavailable('down'), asked, request.id))
        },
      })
    } catch (error) {
      const failure = toLabError(error)
      if (failure.code === 'internal') request.log.error({ err: error, program: prefix }, 'a request was not passed on')
      sendRefusal(response, refuse(failure, asked, request.id))
    }
  }

  async function handle(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const [path, query] = splitUrl(request.raw.url ?? '/')
    if (path === prefix) {
      await reply.redirect(`${prefix}/${query}`, 308)
      return
    }
    reply.hijack()
    await pass(request, reply.raw)
  }

  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  }
  for (const url of [prefix, `${prefix}/*`]) {
    app.route({
      method: app.supportedMethods.filter((method) => method !== 'CONNECT'),
      url,
      // Security headers and cross-origin rules of this server are not the program's.
      config: { cors: false, isOtherProgram: true },
      // Before anything reads the body.
      onRequest: handle,
      handler: (_request, reply) => reply.hijack(),
    })
  }

  const onUpgrade = (message: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const [path] = splitUrl(message.url ?? '')
    if (path !== prefix && !path.startsWith(`${prefix}/`)) return
    upgrade(message, socket as Socket, head).catch((error: unknown) => socket.destroy(toLabError(error)))
  }
  async function upgrade(message: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const asked = readProgramRequest(message, program.trustedProxies)
    const requestId = randomUUID()
    // A client may vanish while it is being asked who it is.
    socket.on('error', () => socket.destroy())
    try {
      const { target } = await admit(message, asked)
      if (socket.destroyed) return
      relay.upgrade(message, socket, head, target, {
        onFailure(error) {
          app.log.warn({ err: error, program: prefix, request_id: requestId }, 'a mounted program took no socket')
          endSocket(socket, jsonRefusal(program.unavailable('down'), requestId))
        },
      })
    } catch (error) {
      const failure = toLabError(error)
      if (failure.code === 'internal') app.log.error({ err: error, program: prefix }, 'a socket was not passed on')
      endSocket(socket, jsonRefusal(failure, requestId))
    }
  }
  server.on('upgrade', onUpgrade)

  return {
    stop() {
      server.off('upgrade', onUpgrade)
      relay.stop(answerGraceMs)
    },
  }
}

/** How long a stop waits for answers that are on their way. */
const answerGraceMs = 2000
