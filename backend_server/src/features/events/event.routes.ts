import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { eventRoutes, LabError, type LabEvent } from '@virtualpytest/shared'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { answered, type Mount } from '../../http/mount.ts'
import { type CallerCheck, watchCaller } from '../../http/watch-caller.ts'
import type { EventFeed } from './event-feed.ts'
import { roomNames, splitRooms } from './room-names.ts'

export interface EventRouteOptions {
  feed: EventFeed
  /** Asked again while a stream is open: a token may be revoked or expire. */
  resolveCaller: CallerCheck
  heartbeatMs?: number
  recheckMs?: number
}

/** How long a stop waits for readers to take the last bytes. */
const patienceMs = 1000

/** Mounts `GET /server/events`. `stop` ends the open streams; their clients come back to the next server. */
export function mountEventRoutes(mount: Mount, options: EventRouteOptions): { stop: () => Promise<void> } {
  const { feed, resolveCaller, heartbeatMs = 15_000, recheckMs = 60_000 } = options
  const open = new Set<ServerResponse>()
  let stopped = false

  mount(eventRoutes.stream, async ({ caller, query, request, reply }) => {
    if (stopped) throw new LabError('draining')
    const rooms = roomNames(splitRooms(query.rooms), caller.teamId)
    if (rooms.length === 0) throw new LabError('validation_error', { text: 'rooms names no room.' })
    // Fastify answers HEAD with the handler of GET; a stream without a body would never end.
    if (request.method === 'HEAD') {
      void reply.type('text/event-stream').send()
      return answered
    }
    const stream = reply.raw
    const subscription = feed.open({
      teamId: caller.teamId,
      send: (events) => write(stream, events.map(frame).join('')),
      onError: () => stream.destroy(),
    })
    // Before anything is awaited: a client that leaves meanwhile must be noticed too.
    stream.once('close', () => subscription.stop())
    const start = await subscription.add(rooms, lastEventId(request) ?? query.after)
    if (stream.destroyed) return answered

    beginStream(reply)
    open.add(stream)
    // The oldest kept event is named when earlier ones were asked for. The pause before a reconnect differs from client to
    // client, so that they do not all come back in one moment.
    const missing = start.oldest === undefined ? '' : ` oldest=${start.oldest}`
    stream.write(`retry: ${1000 + Math.floor(Math.random() * 2000)}\n: after=${start.after}${missing}\n\n`)
    const heartbeat = setInterval(() => {
      if (!stream.writableEnded) stream.write(':\n\n')
    }, heartbeatMs)
    const watch = watchCaller({
      check: () => resolveCaller(request, 'viewer'),
      everyMs: recheckMs,
      onRefused: () => stream.end(),
    })
    stream.once('close', () => {
      clearInterval(heartbeat)
      watch.stop()
      open.delete(stream)
    })
    if (stopped) stream.end()
    return answered
  })

  return {
    async stop() {
      stopped = true
      const limit = AbortSignal.timeout(patienceMs)
      await Promise.all(
        [...open].map(async (stream) => {
          stream.end()
          await once(stream, 'close', { signal: limit }).catch(() => stream.destroy())
        }),
      )
    },
  }
}

/** What an EventSource sends by itself when it comes back; its URL still names the number it began with. */
function lastEventId(request: FastifyRequest): number | undefined {
  const header = request.headers['last-event-id']
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}

/** Takes the response over from Fastify, with the headers its hooks have set (CORS, request id, security). */
function beginStream(reply: FastifyReply): void {
  reply.hijack()
  const stream = reply.raw
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) stream.setHeader(name, value)
  }
  stream.on('error', () => {})
  stream.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    // Nothing can follow on this connection, so its end is the end of the stream, also for a stopping server.
    connection: 'close',
  })
}

const frame = (event: LabEvent): string => `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

/** Resolves once the client has room for more, or is gone. */
async function write(stream: ServerResponse, text: string): Promise<void> {
  if (stream.destroyed || stream.writableEnded || stream.write(text)) return
  const gone = new AbortController()
  const leave = (): void => gone.abort()
  stream.once('close', leave)
  try {
    await once(stream, 'drain', { signal: gone.signal })
  } catch (error) {
    if (!gone.signal.aborted) throw error
  } finally {
    stream.off('close', leave)
  }
}
