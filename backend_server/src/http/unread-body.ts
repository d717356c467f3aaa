import type { FastifyReply, FastifyRequest } from 'fastify'

const mostBytes = 128 * 1024 * 1024
const mostMs = 30_000

/**
 * A refusal that comes before the body was read must still reach its sender. Closing the connection while bytes arrive resets
 * it, which throws away the answer: a proxy in front then says 502, and a client sees a broken connection. So the rest is read
 * and thrown away, up to a limit in bytes and time, and the connection stays usable.
 */
export function readAwayBody(request: FastifyRequest, reply: FastifyReply): void {
  const { raw } = request
  if (raw.complete || raw.destroyed) return
  // Set by Fastify for the case that nobody reads on.
  void reply.removeHeader('connection')
  let bytes = 0
  const giveUp = (): void => void raw.socket.destroy()
  const timer = setTimeout(giveUp, mostMs)
  timer.unref()
  raw.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > mostBytes) giveUp()
  })
  for (const end of ['end', 'close', 'error'] as const) raw.once(end, () => clearTimeout(timer))
}
