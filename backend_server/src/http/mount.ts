import { type Access, LabError, type Route } from '@virtualpytest/shared'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Caller } from './caller.ts'
import { describeIssues } from './errors.ts'
import type { Page } from './mounted-program/index.ts'

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined
type AnswerOf<A> = A extends z.ZodType ? z.input<A> : typeof answered

/** What a handler returns that has sent its answer itself (bytes, streams, events). */
export const answered = Object.freeze({ kind: 'answered' as const })

export interface RouteInput<R extends Route> {
  params: Parsed<R['params']>
  query: Parsed<R['query']>
  body: Parsed<R['body']>
  caller: Caller
  request: FastifyRequest
  reply: FastifyReply
}
export type RouteAnswer<R extends Route> =
  | { [S in keyof R['answers']]: AnswerOf<R['answers'][S]> }[keyof R['answers']]
  | typeof answered

export interface MountOptions {
  /** Resolves who calls, and refuses who may not. */
  resolveCaller: (request: FastifyRequest, access: Access, byCookie: boolean) => Promise<Caller>
  /** A page in place of a refusal, for a browser that was sent to a route that takes its cookie. */
  refusalPage?: (error: unknown, request: FastifyRequest) => Page | undefined
  /** Compare every answer with the contract; tests switch it on, production saves the time. */
  checkAnswers: boolean
}

export interface MountedRoute {
  route: Route
  matches: RegExp
}

/** Mounts routes of the contract: parse at the edge, resolve the caller, call the handler, answer with the contract's status. */
export function createMount(options: MountOptions) {
  const mounted: MountedRoute[] = []

  const mountOn =
    (app: FastifyInstance) =>
    <const R extends Route, const A extends RouteAnswer<R>>(
      route: R,
      handler: (input: RouteInput<R>) => Promise<A> | A,
    ): void => {
      mounted.push({ route, matches: new RegExp(`^${route.path.replace(/\{\w+\}/g, '[^/]+')}$`) })
      // Twice: a page of others can make a browser send a cookie along, so no table can open what changes something.
      const byCookie = route.byCookie === true && route.method === 'GET'
      const firstStatus = Number(Object.keys(route.answers)[0])
      app.route({
        method: route.method,
        url: route.path.replace(/\{(\w+)\}/g, ':$1'),
        ...(route.bodyLimit && { bodyLimit: route.bodyLimit }),
        // Before the body is read: who may not call must not make us parse what they send.
        onRequest: async (request, reply) => {
          try {
            request.caller = await options.resolveCaller(request, route.access, byCookie)
          } catch (error) {
            const page = byCookie ? options.refusalPage?.(error, request) : undefined
            if (!page) throw error
            return reply
              .code(401)
              .headers({ 'content-security-policy': page.contentSecurityPolicy, 'referrer-policy': 'no-referrer' })
              .type('text/html; charset=utf-8')
              .send(page.html)
          }
        },
        handler: async (request, reply) => {
          const answer = await handler({
            params: parsePart(route.params, request.params, 'path') as Parsed<R['params']>,
            query: parsePart(route.query, request.query, 'query') as Parsed<R['query']>,
            body: parsePart(route.body, request.body, 'body') as Parsed<R['body']>,
            caller: request.caller,
            request,
            reply,
          })
          if (answer === answered) return reply
          if (reply.statusCode === 200) void reply.code(firstStatus)
          if (options.checkAnswers) assertAnswer(route, reply.statusCode, answer)
          return reply.send(answer)
        },
      })
    }

  /** Methods answered at a path, for 405 with `Allow`. */
  const methodsAt = (path: string): string[] => [
    ...new Set(mounted.filter((one) => one.matches.test(path)).map((one) => one.route.method)),
  ]

  return { mountOn, methodsAt, mounted }
}
export type Mount = ReturnType<ReturnType<typeof createMount>['mountOn']>

function parsePart(schema: z.ZodType | undefined, value: unknown, part: 'path' | 'query' | 'body'): unknown {
  if (!schema) return undefined
  const result = schema.safeParse(value ?? (part === 'body' ? undefined : {}))
  if (result.success) return result.data
  if (part === 'body' && (value === undefined || value === null)) {
    const empty = schema.safeParse({})
    if (empty.success) return empty.data
    throw new LabError('validation_error', { text: describeIssues(empty.error.issues, part) })
  }
  throw new LabError('validation_error', { text: describeIssues(result.error.issues, part) })
}

function assertAnswer(route: Route, status: number, answer: unknown): void {
  const schema = route.answers[status]
  if (!schema) throw new Error(`${route.method} ${route.path} answered ${status}, which the contract does not name`)
  const result = schema.safeParse(answer)
  if (!result.success)
    throw new Error(`${route.method} ${route.path} answered something else than its contract: ${result.error.message}`)
}
