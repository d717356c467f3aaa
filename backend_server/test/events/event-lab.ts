import { randomUUID } from 'node:crypto'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type ApiError, defaultTeamId, type LabEvent, type Role, rooms } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Socket as Client, io, type ManagerOptions, type SocketOptions } from 'socket.io-client'
import { readConfig } from '../../src/config.ts'
import { type Database, inTransaction, type NewEvent } from '../../src/db/database.ts'
import {
  attachSockets,
  createEventFeed,
  type EventFeed,
  type FeedOptions,
  mountEventRoutes,
} from '../../src/features/events/index.ts'
import { createToken, findToken } from '../../src/features/tokens/index.ts'
import { canonicalizeBeforeAll, createHttpApp } from '../../src/http/http-app.ts'
import { createMount } from '../../src/http/mount.ts'
import { createCallerResolver } from '../../src/http/resolve-caller.ts'
import { createTestDatabase } from '../test-db.ts'
import { testLog } from '../test-log.ts'
import { patienceMs, until } from '../until.ts'

export { until }

/*
 * The event stream on a real port and a real database, with nothing else of the server around it.
 */

export interface EventLabOptions {
  authMode?: 'open' | 'required'
  feed?: FeedOptions
  heartbeatMs?: number
  recheckMs?: number
  taskResult?: (runId: string) => Promise<object | undefined>
  /** Looks over the shoulder of the feed. */
  wrapFeed?: (feed: EventFeed) => EventFeed
}

export type EventLab = Awaited<ReturnType<typeof startEventLab>>

export async function startEventLab(t: TestContext, options: EventLabOptions = {}) {
  const { url: databaseUrl, db } = await createTestDatabase(t)
  const log = testLog
  const config = readConfig({ SERVER_HOST: '127.0.0.1', AUTH_MODE: options.authMode ?? 'open' })
  const http = await createHttpApp(config, log)
  const resolveCaller = createCallerResolver({
    authMode: config.authMode,
    hostRegistration: 'open',
    apiKey: undefined,
    assertReady: () => {},
    findToken: (hash) => findToken(db, hash),
    findHostByKey: async () => undefined,
  })
  const feed = createEventFeed(db, log, options.feed)
  const seenFeed = options.wrapFeed?.(feed) ?? feed
  const { mountOn } = createMount({ resolveCaller, checkAnswers: true })
  const routes = mountEventRoutes(mountOn(http), {
    feed: seenFeed,
    resolveCaller,
    heartbeatMs: options.heartbeatMs,
    recheckMs: options.recheckMs,
  })
  await http.ready()
  const sockets = attachSockets(http.server, {
    feed: seenFeed,
    log,
    resolveCaller,
    corsOrigin: (origin) => origin === undefined || /^http:\/\/localhost(:\d+)?$/.test(origin),
    taskResult: options.taskResult ?? (async () => undefined),
    beatLease: () => Promise.reject(new Error('no leases here')),
    heartbeatMs: 15_000,
    recheckMs: options.recheckMs,
  })
  canonicalizeBeforeAll(http.server)
  const connections = new Set<Socket>()
  http.server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  await http.listen({ port: 0, host: '127.0.0.1' })
  const { port } = http.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`

  const clients: Client[] = []
  let stopped = false
  async function stop(): Promise<void> {
    if (stopped) return
    stopped = true
    sockets.stop()
    await routes.stop()
    await feed.stop()
    await http.close()
  }
  t.after(async () => {
    for (const client of clients) client.disconnect()
    await stop()
  })

  return {
    db,
    databaseUrl,
    feed,
    url,
    port,
    connections,
    stop,
    routes,
    sockets,
    connect(more: Partial<ManagerOptions & SocketOptions> = {}, namespace = '/'): Client {
      const client = io(`${url}${namespace}`, {
        path: '/server/socket.io',
        forceNew: true,
        transports: ['websocket'],
        reconnectionDelay: 20,
        reconnectionDelayMax: 100,
        ...more,
      })
      clients.push(client)
      return client
    },
    /** Cuts every open connection, as a proxy that restarts does; between two polls there may be none: then the next one. */
    cutAll(): void {
      if (connections.size === 0) http.server.once('connection', (socket: Socket) => socket.destroy())
      for (const socket of connections) socket.destroy()
    },
    async addTeam(name: string): Promise<string> {
      const id = randomUUID()
      await sql`insert into teams (id, name) values (${id}, ${name})`.execute(db.kysely)
      return id
    },
    async addToken(teamId: string, role: Role = 'viewer'): Promise<{ id: string; secret: string }> {
      const { token, secret } = await inTransaction(db, (tx) =>
        createToken(tx, { teamId, name: 'test', role, days: 1, createdBy: null }),
      )
      return { id: token.id, secret }
    },
  }
}

export function newEvent(more: Partial<NewEvent> = {}): NewEvent {
  const teamId = more.teamId ?? defaultTeamId
  return {
    teamId,
    type: 'run.log',
    subjectKind: 'run',
    subjectId: 'r1',
    rooms: [rooms.team(teamId)],
    data: {},
    ...more,
  }
}

/** Writes events in one transaction. */
export async function emit(db: Database, ...events: NewEvent[]): Promise<void> {
  await inTransaction(db, async (tx) => {
    for (const event of events) tx.emit(event)
  })
}

/** Several writers at once until the signal; each names its events, and some transactions write more than one. */
export async function writeUntil(db: Database, signal: AbortSignal, writers: number): Promise<void> {
  await Promise.all(
    Array.from({ length: writers }, async (_one, writer) => {
      for (let number = 0; !signal.aborted; number += 1) {
        const many = 1 + (number % 3)
        await emit(db, ...Array.from({ length: many }, () => newEvent({ data: { writer, number } })))
        await pause(Math.random() * 20)
      }
    }),
  )
}

/** Numbers of all events written so far, in order. */
export async function writtenSeqs(db: Database): Promise<number[]> {
  const result = await sql<{ seq: number }>`select seq from events order by seq`.execute(db.kysely)
  return result.rows.map((row) => row.seq)
}

/** What a client's next message of this name carries. */
export function next<T>(client: Client, name: string, limitMs = patienceMs): Promise<T> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      client.off(name, arrived)
      reject(new Error(`no ${name} within ${limitMs} ms`))
    }, limitMs)
    const arrived = (payload: T): void => {
      clearTimeout(limit)
      client.off(name, arrived)
      resolve(payload)
    }
    client.on(name, arrived)
  })
}

export interface Acknowledgment extends Partial<ApiError> {
  after?: number
  oldest?: number
}

/** Sends a message and waits for its acknowledgment. */
export const ask = (client: Client, name: string, payload?: unknown): Promise<Acknowledgment> =>
  client.timeout(5000).emitWithAck(name, payload) as Promise<Acknowledgment>

/** Subscribes on every connect with the number of the last event received, as clients are meant to do. */
export function follow(client: Client, wanted: string[] = ['team'], start = 0) {
  const seen = { events: [] as LabEvent[], connects: 0, last: start }
  client.on('event', (event: LabEvent) => {
    seen.events.push(event)
    seen.last = event.seq
  })
  client.on('connect', () => {
    seen.connects += 1
    client.emit('subscribe', { rooms: wanted, after: seen.last }, () => {})
  })
  return seen
}
