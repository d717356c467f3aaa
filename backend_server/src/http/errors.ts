import { type ApiError, type ErrorCode, LabError } from '@virtualpytest/shared'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ZodError } from 'zod'
import { readAwayBody } from './unread-body.ts'

/** The one body of every failure; documented extras stand beside it. */
export function errorBody(error: LabError, requestId: string): ApiError {
  const envelope = {
    success: false as const,
    error: error.message,
    message: error.message,
    code: error.code,
    ...(error.errorType && { errorType: error.errorType }),
    request_id: requestId,
  }
  // Twice: its fields come first, and no extra replaces them.
  return { ...envelope, ...error.extra, ...envelope }
}

/** Says in one sentence which fields are wrong, without repeating their values. */
export function describeIssues(issues: readonly { path: readonly PropertyKey[]; message: string }[], part: string): string {
  const missing = issues.filter((issue) => /received undefined/.test(issue.message)).map((issue) => issue.path.join('.'))
  if (missing.length === issues.length && missing.every(Boolean)) return `Missing required fields: ${missing.join(', ')}`
  const named = issues.slice(0, 10).map((issue) => `${[part, ...issue.path].map(String).join('.')}: ${issue.message}`)
  return `Invalid request: ${named.join('; ')}`
}

/** Anything thrown, as the LabError it is answered as. Unknown causes become `internal` without details. */
export function toLabError(error: unknown): LabError {
  if (error instanceof LabError) return error
  if (error instanceof ZodError) return new LabError('validation_error', { text: describeIssues(error.issues, 'request') })
  const { code, statusCode, name } = Object(error) as { code?: unknown; statusCode?: unknown; name?: unknown }
  if (name === 'DatabaseUnavailable') return new LabError('database_unavailable', { cause: error })
  const known = typeof code === 'string' ? (fastifyCodes[code] ?? sqlStateCode(code)) : undefined
  if (known) return new LabError(known.code, { text: known.text, cause: error })
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new LabError('validation_error', { text: error instanceof Error ? error.message : undefined, status: statusCode })
  }
  return new LabError('internal', { cause: error })
}

const fastifyCodes: Record<string, { code: ErrorCode; text?: string }> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'payload_too_large' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported_media_type', text: 'Send JSON with Content-Type: application/json.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'validation_error',
    text: 'The body is shorter or longer than Content-Length says.',
  },
  FST_ERR_BAD_URL: { code: 'validation_error', text: 'The URL is not valid.' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'validation_error', text: 'The body is empty.' },
}

/**
 * Values that passed the schema and that PostgreSQL still refuses (NUL characters, numbers out of range, nesting too
 * deep: classes 22 and 54) are the caller's fault; a violated constraint (class 23) is a conflict.
 */
function sqlStateCode(code: string): { code: ErrorCode; text?: string } | undefined {
  if (!/^[0-9A-Z]{5}$/.test(code)) return undefined
  if (code.startsWith('22') || code.startsWith('54'))
    return { code: 'validation_error', text: 'A value in the request cannot be stored.' }
  if (code.startsWith('23')) return { code: 'conflict' }
  return undefined
}

/** Installs the error envelope for thrown errors; 5xx are logged with their cause, which the answer never shows. */
export function installErrorHandler(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    const failure = toLabError(error)
    if (failure.status >= 500 && failure.code !== 'not_ready' && failure.code !== 'draining') {
      request.log.error({ err: failure.cause ?? failure, code: failure.code }, failure.message)
    }
    if (failure.code === 'database_unavailable' || failure.code === 'not_ready') void reply.header('retry-after', '2')
    if (typeof failure.extra.retry_after === 'number') void reply.header('retry-after', String(failure.extra.retry_after))
    readAwayBody(request, reply)
    return reply.code(failure.status).send(errorBody(failure, request.id))
  })
}

/** Throws for the body of a request that has neither a route nor another method at its path. */
export function throwUnknownRoute(request: FastifyRequest, allowed: readonly string[]): never {
  if (allowed.length > 0) {
    throw new LabError('method_not_allowed', { text: `${request.method} is not answered here; use ${allowed.join(' or ')}.` })
  }
  throw new LabError('route_not_found')
}
