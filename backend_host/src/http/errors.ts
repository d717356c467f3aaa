import { type ApiError, type ErrorCode, LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { ZodError, type ZodType } from 'zod'

/** The one body of every failure; documented extras stand beside it. */
export const errorBody = (error: LabError, requestId: string): ApiError => ({
  success: false,
  error: error.message,
  message: error.message,
  code: error.code,
  ...(error.errorType && { errorType: error.errorType }),
  request_id: requestId,
  ...error.extra,
})

/** Installs the error envelope for thrown errors and unknown routes; only unexpected causes are logged. */
export function installErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    const failure = toLabError(error)
    if (failure.code === 'internal') request.log.error({ err: failure.cause }, failure.message)
    return reply.code(failure.status).send(errorBody(failure, request.id))
  })
  app.setNotFoundHandler((request, reply) => reply.code(404).send(errorBody(new LabError('route_not_found'), request.id)))
}

/** The request part in its checked form, or validation_error that names the fields and not their values. */
export function parseRequest<T>(schema: ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value ?? {})
  if (parsed.success) return parsed.data
  throw invalid(parsed.error)
}

function invalid(error: ZodError): LabError {
  const missing = error.issues.filter((issue) => /received undefined/.test(issue.message)).map((issue) => issue.path.join('.'))
  const text =
    missing.length === error.issues.length
      ? `Missing required fields: ${missing.join(', ')}`
      : `Invalid request: ${error.issues
          .slice(0, 10)
          .map((issue) => `${issue.path.join('.')}: ${issue.message}`)
          .join('; ')}`
  return new LabError('validation_error', { text })
}

const fastifyCodes: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
}

function toLabError(error: unknown): LabError {
  if (error instanceof LabError) return error
  if (error instanceof ZodError) return invalid(error)
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown }
  const known = typeof code === 'string' ? fastifyCodes[code] : undefined
  if (known) return new LabError(known, { cause: error })
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new LabError('validation_error', { text: error instanceof Error ? error.message : undefined, status: statusCode })
  }
  return new LabError('internal', { text: 'Something failed inside the host agent.', cause: error })
}
