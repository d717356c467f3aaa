import type { FastifyInstance, FastifyRequest } from 'fastify'

/*
 * A call whose connection broke may have been carried out, so its caller sends it again with the same X-Request-ID. It is
 * carried out once: the second one gets the answer of the first, also while that is still being worked out.
 */

const keptMs = 120_000
const mostKeptBytes = 32 * 1024 * 1024

interface Answer {
  status: number
  headers: Record<string, string>
  payload: string | Buffer
}
interface Call {
  answer: Promise<Answer | undefined>
  settle: (answer: Answer | undefined) => void
  endedAt: number | undefined
  bytes: number
}

export function answerRepeatsOnce(app: FastifyInstance, now: () => number = () => performance.now()): void {
  /** In the order in which they came. */
  const calls = new Map<string, Call>()
  const own = new WeakMap<FastifyRequest, { key: string; call: Call }>()
  let keptBytes = 0

  function forget(key: string, call: Call): void {
    if (calls.get(key) === call && calls.delete(key)) keptBytes -= call.bytes
    call.settle(undefined)
  }
  function forgetOld(): void {
    for (const [key, call] of calls) {
      if (call.endedAt === undefined) continue
      if (now() - call.endedAt < keptMs && keptBytes <= mostKeptBytes) return
      forget(key, call)
    }
  }

  // After the body has arrived: a call that broke off before that was never begun.
  app.addHook('preHandler', async (request, reply) => {
    const id = request.headers['x-request-id']
    if (typeof id !== 'string' || id === '' || id.length > 100 || /^(GET|HEAD)$/.test(request.method)) return undefined
    const key = `${request.method} ${request.url} ${id}`
    const answer = await calls.get(key)?.answer
    if (answer) return reply.code(answer.status).headers(answer.headers).send(answer.payload)
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>()
    const call: Call = { answer: promise, settle: resolve, endedAt: undefined, bytes: 0 }
    calls.set(key, call)
    own.set(request, { key, call })
    forgetOld()
    return undefined
  })
  app.addHook('onSend', async (request, reply, payload) => {
    const found = own.get(request)
    if (!found || !(typeof payload === 'string' || Buffer.isBuffer(payload))) return
    const { call } = found
    call.endedAt = now()
    call.bytes = payload.length
    keptBytes += call.bytes
    const type = reply.getHeader('content-type')
    call.settle({ status: reply.statusCode, headers: { 'content-type': String(type ?? 'application/json') }, payload })
  })
  app.addHook('onResponse', async (request) => {
    const found = own.get(request)
    // What was sent in another way cannot be sent again.
    if (found && found.call.endedAt === undefined) forget(found.key, found.call)
  })
}
