import { z } from 'zod'

/**
 * Every error the product answers, in one table: its HTTP status and the sentence a person reads.
 * `code` is stable and meant for programs; the text may be made more precise where the error is thrown.
 */
export const errorCodes = {
  validation_error: { status: 400, text: 'The request is not valid.' },
  host_required: { status: 400, text: 'host_name required in request body or query parameters' },
  unauthorized: { status: 401, text: 'A valid credential is required.' },
  forbidden: { status: 403, text: 'This credential may not do that.' },
  shell_forbidden: { status: 403, text: 'Remote shells are not allowed on this host.' },
  not_found: { status: 404, text: 'There is no such thing.' },
  route_not_found: { status: 404, text: 'There is no such route.' },
  host_not_found: { status: 404, text: 'There is no such host in this team.' },
  device_not_found: { status: 404, text: 'There is no such device in this team.' },
  script_not_found: { status: 404, text: 'There is no such script.' },
  run_not_found: { status: 404, text: 'There is no such run in this team.' },
  execution_not_found: { status: 404, text: 'There is no such execution in this team.' },
  reference_not_found: { status: 404, text: 'There is no such reference in this team.' },
  lease_not_found: { status: 404, text: 'There is no such lease in this team.' },
  ask_not_found: { status: 404, text: 'There is no such question in this team.' },
  artifact_not_found: { status: 404, text: 'There is no such artifact in this run.' },
  not_registered: { status: 404, text: 'Host not registered, please register first' },
  method_not_allowed: { status: 405, text: 'This route does not answer that method.' },
  conflict: { status: 409, text: 'This contradicts what is already there.' },
  stale_token: { status: 409, text: 'This lease has ended; another one may have begun.' },
  run_finished: { status: 409, text: 'This run has already ended.' },
  run_not_finished: { status: 409, text: 'This run has not ended yet.' },
  illegal_move: { status: 409, text: 'That state cannot follow the present one.' },
  not_held: { status: 409, text: 'Nobody holds this device: it can be taken.' },
  not_askable: { status: 409, text: 'This holder cannot be asked.' },
  others_wait: { status: 409, text: 'Others wait for this device.' },
  lease_limit: { status: 409, text: 'No lease of this team may last that long.' },
  idempotency_mismatch: { status: 409, text: 'This Idempotency-Key was used with another request.' },
  device_bad: { status: 409, text: 'A health check found that this device does not work. It gets no runs.' },
  host_url_pinned: {
    status: 409,
    text: 'A known host is online under another URL; its URL cannot be changed from this address.',
  },
  payload_too_large: { status: 413, text: 'The request body is too large.' },
  unsupported_media_type: { status: 415, text: 'The content type of this body is not accepted here.' },
  device_locked: { status: 423, text: 'Somebody else holds this device.' },
  device_in_maintenance: { status: 423, text: 'This device is in maintenance.' },
  asked_recently: { status: 429, text: 'You asked for this device a short while ago.' },
  queue_full: { status: 429, text: 'Too many runs are waiting for this device.' },
  internal: { status: 500, text: 'Something failed inside the server. The request id finds it in the log.' },
  not_implemented: { status: 501, text: 'This server does not offer that.' },
  host_error: { status: 502, text: 'The host answered with an error.' },
  cache_not_ready: { status: 503, text: 'The host has not loaded the navigation tree.' },
  database_unavailable: { status: 503, text: 'The database cannot be reached at the moment.' },
  not_ready: { status: 503, text: 'The server is starting.' },
  host_address_refused: { status: 502, text: 'Hosts may not have the address of this host.' },
  host_busy: { status: 503, text: 'Too many calls are waiting for this host.' },
  too_many_viewers: { status: 503, text: 'As many people as possible watch this already.' },
  host_link_lost: {
    status: 503,
    text: 'The connection of the host was lost during the call; whether the host did what was asked is not known.',
  },
  host_unreachable: { status: 503, text: 'Could not connect to host.' },
  host_offline: { status: 503, text: 'The host is offline.' },
  storage_unavailable: { status: 503, text: 'The artifact store cannot be reached at the moment.' },
  grafana_unavailable: { status: 503, text: 'Grafana cannot be reached at the moment.' },
  draining: { status: 503, text: 'This program is stopping and takes no new work.' },
  host_timeout: { status: 504, text: 'Request to host timed out.' },
} as const

export type ErrorCode = keyof typeof errorCodes

/** The words of the original server that its web app maps to messages of its own. */
export const ErrorType = z.enum([
  'device_locked',
  'device_not_found',
  'network_error',
  'cache_error',
  'host_error',
  'server_error',
  'generic_error',
  'stream_service_error',
  'adb_connection_error',
])
export type ErrorType = z.infer<typeof ErrorType>

/** The one shape of every failure. `message` repeats `error` for clients that read that name. */
export const ApiError = z
  .looseObject({
    success: z.literal(false),
    error: z.string(),
    message: z.string(),
    code: z.string(),
    errorType: ErrorType.optional(),
    request_id: z.string(),
  })
  .meta({ id: 'ApiError' })
export type ApiError = z.infer<typeof ApiError>

export interface LabErrorOptions {
  /** A sentence that replaces the table's text. It must not contain secrets. */
  text?: string
  errorType?: ErrorType
  /** Extra fields that the protocol documents for this answer, such as `locked_by`. */
  extra?: Record<string, unknown>
  /** Where one documented answer needs another status than the table's, such as 400 for an unknown host on a proxied route. */
  status?: number
  cause?: unknown
}

/** A failure with a code of the table above; everything else that is thrown is answered as `internal`. */
export class LabError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly errorType: ErrorType | undefined
  readonly extra: Record<string, unknown>

  constructor(code: ErrorCode, options: LabErrorOptions = {}) {
    super(options.text ?? errorCodes[code].text, { cause: options.cause })
    this.name = 'LabError'
    this.code = code
    this.status = options.status ?? errorCodes[code].status
    this.errorType = options.errorType
    this.extra = options.extra ?? {}
  }
}
