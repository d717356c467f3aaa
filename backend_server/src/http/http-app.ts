import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import cors from '@fastify/cors'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import type { Config } from '../config.ts'
import { answerBadHttp } from './bad-http.ts'
import { canonicalUrl } from './canonical-url.ts'
import { errorBody, installErrorHandler, throwUnknownRoute, toLabError } from './errors.ts'
import { assertNotTooDeep } from './json-depth.ts'
import { securityHeaders } from './security-headers.ts'

const generalBodyLimit = 5 * 1024 * 1024
const lanOrigin = /^https?:\/\/(localhost|127\.0\.0\.1|192\.168\.\d{1,3}\.\d{1,3})(:\d+)?$/i
/** Asked often by machines; their calls are logged at debug level only. */
const quietPaths = /^\/server\/(health|livez|readyz|system\/ping|system\/health|runs\/[^/]+\/progress)$/

const noCompiler = (): never => {
  throw new Error('a route has a schema of Fastify; routes of this server have those of the contract')
}

/** The HTTP shell: addresses, limits, headers, error envelope and request log; routes are mounted by the features. */
export async function createHttpApp(config: Config, log: FastifyBaseLogger): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    rewriteUrl: (request) => canonicalUrl(request.url ?? '/'),
    // By number of hops: an address list would have to follow every change of the platform in front.
    trustProxy: (_address: string, hop: number) => hop < config.trustedProxies,
    bodyLimit: generalBodyLimit,
    routerOptions: { ignoreTrailingSlash: true, caseSensitive: true, maxParamLength: 500 },
    // Keep-alive connections of idle clients must not hold up a stop.
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => {
      const failure = toLabError(error)
      reply.raw.writeHead(failure.status, {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
        'x-request-id': request.id,
      })
      reply.raw.end(JSON.stringify(errorBody(failure, request.id)))
    },
    clientErrorHandler: answerBadHttp,
    // Requests are parsed with the schemas of the contract, by mount(). Fastify's own compilers would be loaded at every start.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
  })
  app.decorateRequest('caller', null as never)
  installErrorHandler(app)
  acceptJsonOnly(app)
  const headers = securityHeaders({ hasTls: config.serverUrl?.startsWith('https:') ?? false })
  app.addHook('onRequest', (request, reply, done) => {
    if (!request.routeOptions.config.isOtherProgram) for (const [name, value] of headers) reply.raw.setHeader(name, value)
    done()
  })
  await app.register(cors, {
    origin: (origin, done) => done(null, isAllowedOrigin(config, origin)),
    methods: ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'],
    allowedHeaders: [
      'X-User-ID',
      'X-Team-ID',
      'X-API-Key',
      'Authorization',
      'Content-Type',
      'Cache-Control',
      'Pragma',
      'Idempotency-Key',
      'Last-Event-ID',
    ],
    exposedHeaders: ['X-Request-ID'],
    credentials: true,
    // An OPTIONS request that asks for nothing gets the same answer; the refusal of the plugin is no envelope.
    strictPreflight: false,
    maxAge: 600,
  })
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('cache-control', 'no-store').header('x-request-id', request.id)
  })
  app.addHook('onResponse', async (request, reply) => {
    const quiet = quietPaths.test(pathOf(request))
    const line = {
      method: request.method,
      path: pathOf(request),
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ...(request.caller && { team_id: request.caller.teamId, caller: request.caller.name ?? request.caller.kind }),
    }
    if (quiet) request.log.debug(line, 'request')
    else request.log.info(line, 'request')
  })
  return app
}

/** Whether a page of this origin may use the API; programs, which send no origin, may. */
export const isAllowedOrigin = (config: Config, origin: string | undefined): boolean =>
  origin === undefined || lanOrigin.test(origin) || config.corsOrigins.includes(origin)

/** Answers unknown paths with 404 and known paths with a wrong method with 405 and `Allow`. */
export function installNotFound(app: FastifyInstance, methodsAt: (path: string) => string[]): void {
  const refuse = (request: FastifyRequest, reply: FastifyReply): never => {
    const allowed = methodsAt(pathOf(request))
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '))
    throwUnknownRoute(request, allowed)
  }
  // Before the body is read, which would answer for its form first.
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) refuse(request, reply)
  })
  app.setNotFoundHandler(refuse)
}

/** The same canonical form for what Fastify does not see first: Socket.IO requests and upgrades. */
export function canonicalizeBeforeAll(server: Server): void {
  const rewrite = (request: { url?: string | undefined }): void => {
    request.url = canonicalUrl(request.url ?? '/')
  }
  server.prependListener('request', rewrite)
  server.prependListener('upgrade', rewrite)
}

export const pathOf = (request: FastifyRequest): string => request.url.split('?', 1)[0] ?? '/'

/** The web app sends `Content-Type: application/json` with no body on some calls; that is an absent body, not a bad one. */
function acceptJsonOnly(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') return done(null, undefined)
    try {
      assertNotTooDeep(text as string)
    } catch (error) {
      return done(error as Error)
    }
    return parseJson(request, text as string, done)
  })
}
