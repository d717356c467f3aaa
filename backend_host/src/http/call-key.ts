import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * Check of `X-API-Key` on calls of the server: the secret this agent announced at its registration, or the shared
 * API_KEY. All accepted keys are compared in constant time. The bodies are those of original hosts, word for word.
 */
export function createKeyCheck(keys: readonly string[]) {
  const accepted = keys.map(digest)
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const given = request.headers['x-api-key']
    if (typeof given !== 'string' || given === '') {
      return reply.code(401).send({ error: 'Authentication required', message: 'X-API-Key header is required' })
    }
    const found = digest(given)
    const matches = accepted.filter((key) => timingSafeEqual(key, found)).length
    if (matches === 0) return reply.code(401).send({ error: 'Invalid API key', message: 'Authentication failed' })
    return undefined
  }
}
