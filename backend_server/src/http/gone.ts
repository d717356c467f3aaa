import type { FastifyReply } from 'fastify'

/** Aborts when the caller leaves before the answer is complete. After that there is nothing left to end, and an abort is not free. */
export function abortWhenGone({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort()
  })
  return gone.signal
}
