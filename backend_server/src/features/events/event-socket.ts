import { randomUUID } from 'node:crypto'
import type { Server as HttpServer, IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { LabError } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { type ExtendedError, Server, type Socket } from 'socket.io'
import type { Caller } from '../../http/caller.ts'
import { errorBody, toLabError } from '../../http/errors.ts'
import type { CallerRequest } from '../../http/resolve-caller.ts'
import { type CallerCheck, isRefusal, watchCaller } from '../../http/watch-caller.ts'
import { openAgentNamespace } from './agent-socket.ts'
import type { EventFeed } from './event-feed.ts'
import { type BeatLease, servePresence } from './socket-presence.ts'
import { serveSubscriptions } from './socket-subscription.ts'
import { createTaskNews } from './task-news.ts'

export interface SocketOptions {
  feed: EventFeed
  log: FastifyBaseLogger
  /** The same resolution as for HTTP requests. */
  resolveCaller: CallerCheck
  /** Whether a page of this origin may use the API. */
  corsOrigin: (origin: string | undefined) => boolean
  /** Fields of `task_complete` for a run that ended; undefined when the run is gone. */
  taskResult: (runId: string) => Promise<object | undefined>
  /** Heartbeats of leases that a connection stands for. */
  beatLease: BeatLease
  heartbeatMs: number
  recheckMs?: number
}

/**
 * Socket.IO at /server/socket.io. Everybody is asked who they are before a connection counts, in both namespaces.
 * Attach before canonicalizeBeforeAll, which makes the path work without its prefix too.
 */
export function attachSockets(server: HttpServer, options: SocketOptions): { stop: () => void } {
  const { feed, log, resolveCaller, corsOrigin, recheckMs = 60_000 } = options
  let stopped = false
  const io = new Server({
    path: '/server/socket.io',
    addTrailingSlash: false,
    serveClient: false,
    transports: ['polling', 'websocket'],
    // Every 15 s: proxies drop connections that are silent for 60 s, and the answers are the signs of life that beats stand for.
    pingInterval: options.heartbeatMs,
    pingTimeout: 20_000,
    maxHttpBufferSize: 256 * 1024,
    perMessageDeflate: false,
    // Other programs take upgrades on this server too; what belongs to nobody is cut elsewhere.
    destroyUpgrade: false,
    cors: { origin: (origin, done) => done(null, corsOrigin(origin)), credentials: true },
    allowRequest: (request, done) => {
      const refusal = stopped ? 'draining' : mayOpen(request, corsOrigin) ? null : 'origin not allowed'
      done(refusal, refusal === null)
    },
  })
  io.attach(server)
  const wires = new Set<Duplex>()
  server.on('upgrade', (request: IncomingMessage, wire: Duplex) => {
    if (!request.url?.includes('/socket.io')) return
    wires.add(wire)
    wire.once('close', () => wires.delete(wire))
  })

  const tasks = createTaskNews({
    feed,
    log,
    taskResult: options.taskResult,
    send: (teamId, payload) => io.to(teamRoom(teamId)).emit('task_complete', payload),
  })

  const login = async (socket: Socket, next: (error?: ExtendedError) => void): Promise<void> => {
    try {
      const caller = await resolveCaller(requestOf(socket), 'viewer')
      callers.set(socket, caller)
      next()
    } catch (error) {
      if (isRefusal(error)) {
        next(connectError(error))
        return
      }
      // A client does not come back by itself after a refusal, but it does after a cut: right for troubles that pass.
      const { code } = toLabError(error)
      log[code === 'internal' ? 'error' : 'debug']({ err: error }, 'a socket could not be let in')
      socket.conn.close()
    }
  }
  const admit = (socket: Socket): Caller | undefined => {
    const caller = callers.get(socket)
    if (!caller) {
      socket.disconnect(true)
      return undefined
    }
    socket.on('error', (error: Error) => log.debug({ err: error }, 'socket error'))
    const watch = watchCaller({
      check: () => resolveCaller(requestOf(socket), 'viewer'),
      everyMs: recheckMs,
      onRefused: () => socket.disconnect(true),
    })
    socket.once('disconnect', () => watch.stop())
    return caller
  }

  io.use((socket, next) => void login(socket, next))
  // Before the client is told that it is connected: from then on it misses no end of a task.
  io.use((socket, next) => void tasks.listenFor(socket.conn).finally(next))
  io.on('connection', (socket) => {
    const caller = admit(socket)
    if (!caller) return
    io.in(socket.id).socketsJoin(teamRoom(caller.teamId))
    serveSubscriptions(socket, { feed, caller, log })
    servePresence(socket, { caller, beatLease: options.beatLease, log, everyMs: options.heartbeatMs })
  })

  const agents = io.of('/agent')
  agents.use((socket, next) => void login(socket, next))
  agents.on('connection', (socket) => {
    const caller = admit(socket)
    if (caller) openAgentNamespace(socket, { namespace: agents, caller })
  })

  return {
    /** Cuts the connections instead of taking leave: clients come back to the next server by themselves. */
    stop() {
      stopped = true
      tasks.stop()
      io.engine.close()
      // A client that is cut off never answers the farewell, which would hold up the stop for half a minute.
      setTimeout(() => {
        for (const wire of wires) wire.destroy()
      }, farewellMs).unref()
    },
  }
}

const farewellMs = 500
const callers = new WeakMap<Socket, Caller>()
const teamRoom = (teamId: string): string => `team:${teamId}`

function connectError(error: LabError): ExtendedError {
  return Object.assign(new Error(error.message), { data: errorBody(error, randomUUID()) })
}

/** The handshake as a request: the token of `auth` counts like the header that browsers cannot set on sockets. */
function requestOf(socket: Socket): CallerRequest {
  const { auth, headers, address, query } = socket.handshake
  const token: unknown = auth.token
  const authorization =
    typeof token === 'string' && token !== '' ? `Bearer ${token.replace(/^Bearer\s+/i, '')}` : headers.authorization
  return { headers: { ...headers, ...(authorization !== undefined && { authorization }) }, ip: address, query }
}

/**
 * Browsers protect polling by CORS but let every page open a WebSocket, so where login is off a page of anybody could read a
 * lab on the same machine. Programs send no Origin; a page of this server's own address is welcome.
 */
function mayOpen(request: IncomingMessage, corsOrigin: (origin: string | undefined) => boolean): boolean {
  const { origin, host } = request.headers
  if (request.headers.upgrade === undefined || origin === undefined || corsOrigin(origin)) return true
  const forwarded = request.headers['x-forwarded-host']
  return URL.canParse(origin) && [host, forwarded].includes(new URL(origin).host)
}
