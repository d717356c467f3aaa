import { randomUUID } from 'node:crypto'
import { type ApiError, LabError, type LabEvent, parseTeamId, Subscribe } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { Socket } from 'socket.io'
import { z } from 'zod'
import type { Caller } from '../../http/caller.ts'
import { errorBody, toLabError } from '../../http/errors.ts'
import type { EventFeed } from './event-feed.ts'
import { createLimit } from './limit.ts'
import { roomNames } from './room-names.ts'

/** Messages of one socket that may wait for their turn. */
const mostWaiting = 50
/** Without rooms: all of them. */
const Unsubscribe = Subscribe.pick({ rooms: true }).partial().nullish()

/**
 * `subscribe {rooms, after}` adds rooms to this socket, `unsubscribe {rooms}` takes them away; both are answered through the
 * acknowledgment. A socket gets no event twice. The `seq` of the last one it received is the number to resume with.
 */
export function serveSubscriptions(socket: Socket, options: { feed: EventFeed; caller: Caller; log: FastifyBaseLogger }): void {
  const { feed, caller, log } = options
  const subscription = feed.open({
    teamId: caller.teamId,
    send: (events) => sendEvents(socket, events),
    onError(error) {
      log.warn({ err: error }, 'a socket could not be served and is cut')
      socket.conn.close()
    },
  })
  socket.once('disconnect', () => subscription.stop())
  // One after the other: a subscribe asks the database, and the unsubscribe behind it must not overtake.
  const inTurn = createLimit(1)
  let waiting = 0

  handle('subscribe', async (payload) => {
    const wanted = parse(Subscribe, payload)
    if ((parseTeamId(wanted.team_id) ?? caller.teamId) !== caller.teamId) {
      throw new LabError('forbidden', { text: 'A socket belongs to one team: name another one in the query of the connection.' })
    }
    return subscription.add(roomNames(wanted.rooms, caller.teamId), wanted.after)
  })
  handle('unsubscribe', async (payload) => {
    const { rooms } = parse(Unsubscribe, payload) ?? {}
    subscription.remove(rooms === undefined ? subscription.rooms() : roomNames(rooms, caller.teamId))
    return {}
  })

  function handle(name: string, work: (payload: unknown) => Promise<object>): void {
    socket.on(name, (...received: unknown[]) => {
      const acknowledge = received.at(-1)
      const payload = typeof received[0] === 'function' ? undefined : received[0]
      const answer = (body: object): void => {
        if (typeof acknowledge === 'function') acknowledge(body)
        else if ('error' in body) socket.emit('error', body)
      }
      if (waiting >= mostWaiting) {
        answer(refusal(new LabError('conflict', { text: 'Too many messages at once: wait for their acknowledgments.' }), log))
        return
      }
      waiting += 1
      inTurn(() => work(payload))
        .finally(() => {
          waiting -= 1
        })
        .then(
          (body) => answer({ success: true, ...body }),
          (error: unknown) => answer(refusal(error, log)),
        )
    })
  }
}

function parse<S extends z.ZodType>(schema: S, payload: unknown): z.output<S> {
  const result = schema.safeParse(payload)
  if (result.success) return result.data
  throw new LabError('validation_error', { text: `Invalid message: ${z.prettifyError(result.error).slice(0, 500)}` })
}

function refusal(error: unknown, log: FastifyBaseLogger): ApiError {
  const failure = toLabError(error)
  const requestId = randomUUID()
  if (failure.code === 'internal') log.error({ err: failure.cause ?? failure, request_id: requestId }, 'a socket message failed')
  return errorBody(failure, requestId)
}

/** Resolves once the connection has taken the events, or is gone. Polling clients take them with their next request. */
async function sendEvents(socket: Socket, events: readonly LabEvent[]): Promise<void> {
  for (const event of events) socket.emit('event', event)
  const { conn } = socket
  if (!socket.connected || conn.readyState !== 'open' || bufferedPackets(conn) === 0) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      conn.off('drain', done)
      conn.off('close', done)
      resolve()
    }
    conn.on('drain', done)
    conn.on('close', done)
  })
}

/** Packets that wait for the transport; part of engine.io's server since its first version, but not of its published types. */
function bufferedPackets(conn: Socket['conn']): number {
  const buffer: unknown = Reflect.get(conn, 'writeBuffer')
  return Array.isArray(buffer) ? buffer.length : 0
}
