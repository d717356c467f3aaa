import { pipeline } from 'node:stream'
import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { abortWhenGone } from '../../http/gone.ts'
import { sameSecret } from '../../http/resolve-caller.ts'
import { HostConnectionError } from '../hosts/index.ts'
import { forwardHeaders, forwardPath } from './forward.ts'
import type { LinkHub } from './link-hub.ts'

const largestBody = 8 * 1024 * 1024
const handshakeMs = 300
/** What a call to a host consists of; nothing else of the request goes on. */
const passedHeaders = [
  'accept',
  'content-type',
  'x-api-key',
  'x-request-id',
  'range',
  'if-range',
  'if-none-match',
  'if-modified-since',
]
const answeredHeaders = [
  'content-type',
  'content-length',
  'content-range',
  'accept-ranges',
  'etag',
  'last-modified',
  'cache-control',
]

/**
 * Calls that another server on this database hands on, because the link of the host ends here. Not part of the contract: only
 * who has this server's key of the present start may come in.
 */
export async function mountForwardedCalls(http: FastifyInstance, hub: LinkHub): Promise<void> {
  await http.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'string', bodyLimit: largestBody }, (_request, body, done) => done(null, body))
    scope.addHook('onRequest', async (request) => {
      const key = request.headers[forwardHeaders.key]
      if (typeof key !== 'string' || !sameSecret(key, hub.internalKey)) throw new LabError('route_not_found')
    })
    scope.route({
      method: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
      url: `${forwardPath}/:host`,
      handler: async (request, reply) => {
        const { host } = request.params as { host: string }
        const path = request.headers[forwardHeaders.path]
        if (typeof path !== 'string' || !path.startsWith('/host/')) throw new LabError('route_not_found')
        const gone = abortWhenGone(reply)
        // Its row is written a moment before the link is open.
        if (!hub.find(host)) await hub.opened(host, AbortSignal.any([gone, AbortSignal.timeout(handshakeMs)]))
        const link = hub.find(host)
        if (!link) return reply.code(502).header(forwardHeaders.failure, 'not begun').send()
        const headers = passedHeaders.flatMap((name) => {
          const value = request.headers[name]
          return typeof value === 'string' ? [[name, value]] : []
        })
        try {
          const answer = await link.session.send(
            { hostName: host, baseUrl: '', key: undefined },
            {
              method: request.method,
              path,
              headers: Object.fromEntries(headers) as Record<string, string>,
              body: typeof request.body === 'string' ? request.body : undefined,
              signal: gone,
            },
          )
          const told = answeredHeaders.flatMap((name) => {
            const value = answer.headers[name]
            return typeof value === 'string' ? [[name, value]] : []
          })
          const { raw } = reply.hijack()
          raw.writeHead(answer.status, Object.fromEntries(told) as Record<string, string>)
          // An answer that breaks off is cut off there too.
          pipeline(answer.body, raw, () => undefined)
          return undefined
        } catch (error) {
          if (!(error instanceof HostConnectionError)) throw error
          return reply
            .code(502)
            .header(forwardHeaders.failure, error.begun ? 'begun' : 'not begun')
            .send()
        }
      },
    })
  })
}
