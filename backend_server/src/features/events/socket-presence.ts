import { randomUUID } from 'node:crypto'
import { type HeartbeatAnswer, HoldLease, LabError, leaseSeconds, roleRank } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { Socket } from 'socket.io'
import { z } from 'zod'
import type { Caller } from '../../http/caller.ts'
import { errorBody, toLabError } from '../../http/errors.ts'

/**
 * A heartbeat for a lease of this caller, or for a place in a line, that the client gave some seconds ago. Returns what the
 * route of heartbeats answers.
 */
export type BeatLease = (caller: Caller, body: z.output<typeof HoldLease>, secondsAgo: number) => Promise<HeartbeatAnswer>

const mostLeases = 50

/**
 * `hold {lease_id}`: this connection stands for the presence of its person. While it is open the server sends the heartbeats
 * of that lease itself, so that a page whose timers sleep in the background keeps its device, and a closed page loses it. What
 * counts is when the client was heard last, by any packet or its answer to a ping: a connection whose other end is gone stays
 * open for a while and must not keep a device meanwhile.
 * `let_go {lease_id}` ends that. The client holds again after each reconnect; `lease_lost` tells it that there is nothing
 * left to hold, `lease_asked` that somebody asks for the device: a holder hears of it without a subscription to events.
 */
export function servePresence(
  socket: Socket,
  options: { caller: Caller; beatLease: BeatLease; log: FastifyBaseLogger; everyMs: number },
): void {
  const { caller, beatLease, log, everyMs } = options
  const held = new Map<string, z.output<typeof HoldLease>>()
  const toldAsks = new Set<string>()
  let heardAt = performance.now()
  const noteHeard = (): void => {
    heardAt = performance.now()
  }
  socket.conn.on('packet', noteHeard)
  const timer = setInterval(() => {
    if (performance.now() - heardAt < leaseSeconds.heartbeat * 1000) for (const body of held.values()) repeat(body)
  }, everyMs)
  socket.once('disconnect', () => {
    clearInterval(timer)
    socket.conn.off('packet', noteHeard)
    held.clear()
  })

  function repeat(body: z.output<typeof HoldLease>): void {
    const beat = beatLease(caller, body, (performance.now() - heardAt) / 1000)
    beat.then(tellAsks).catch((error: unknown) => {
      const failure = toLabError(error)
      // The database is away, or something else that passes: the next beat tries again.
      if (failure.status >= 500) return
      if (held.delete(body.lease_id)) socket.emit('lease_lost', { lease_id: body.lease_id, ...errorBody(failure, randomUUID()) })
    })
  }

  function tellAsks({ asks }: HeartbeatAnswer): void {
    for (const ask of asks.filter(({ id }) => !toldAsks.has(id))) {
      toldAsks.add(ask.id)
      socket.emit('lease_asked', ask)
    }
  }

  socket.on('hold', (payload: unknown, acknowledge: unknown) => {
    const answer = (body: object): void => {
      if (typeof acknowledge === 'function') acknowledge(body)
    }
    hold(payload).then(answer, (error: unknown) => {
      const failure = toLabError(error)
      if (failure.code === 'internal') log.error({ err: failure.cause ?? failure }, 'a lease could not be held by a socket')
      answer(errorBody(failure, randomUUID()))
    })
  })
  async function hold(payload: unknown): Promise<object> {
    const parsed = HoldLease.safeParse(payload)
    if (!parsed.success)
      throw new LabError('validation_error', { text: `Invalid message: ${z.prettifyError(parsed.error).slice(0, 500)}` })
    if (roleRank[caller.role] < roleRank.tester) throw new LabError('forbidden', { text: 'This needs the role tester.' })
    if (held.size >= mostLeases) throw new LabError('conflict', { text: `One connection holds at most ${mostLeases} leases.` })
    const answer = await beatLease(caller, parsed.data, 0)
    for (const { id } of answer.asks) toldAsks.add(id)
    // The connection may have ended while the database was asked.
    if (socket.connected) held.set(parsed.data.lease_id, { ...parsed.data, active: false })
    return answer
  }

  socket.on('let_go', (payload: unknown, acknowledge: unknown) => {
    const parsed = HoldLease.pick({ lease_id: true }).safeParse(payload)
    if (parsed.success) held.delete(parsed.data.lease_id)
    if (typeof acknowledge === 'function') acknowledge({ success: true })
  })
}
