import { LabError } from '@virtualpytest/shared'

/**
 * The database could not be reached, or the connection was lost on the way. Answered as 503 without details; the reason
 * stands in the log and in `cause`. With `outcomeUnknown` the loss came while a change was being committed (or was committing
 * by itself, outside a transaction): it may or may not be there.
 */
export class DatabaseUnavailable extends LabError {
  readonly outcomeUnknown: boolean

  constructor(cause: unknown, outcomeUnknown = false) {
    super('database_unavailable', { cause })
    this.name = 'DatabaseUnavailable'
    this.outcomeUnknown = outcomeUnknown
  }
}

const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'ENODATA',
  'ENOENT',
  'ENOTCONN',
])

// Class 08: connection. 28 and 3D: the address or the password is wrong. 53300: no connection left. 57P0x: the server stops
// or starts. 25P03: we were silent in a transaction for too long. 25006: the server takes no writes at the moment (a standby, or a project whose disk is full).
const serverStates = /^(08...|28...|3D000|53300|57P0[1-5]|25006|25P03)$/

// Losses that the driver reports without any code.
const lostByText =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|The server does not support SSL|There was an error establishing an SSL)/

/** SQLSTATE or system code of an error, if it has one. */
export function errorCodeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** True when the database, not the statement, is the trouble. */
export function isConnectionLoss(error: unknown): boolean {
  if (error instanceof DatabaseUnavailable) return true
  if (error instanceof AggregateError) return error.errors.some(isConnectionLoss)
  const code = errorCodeOf(error)
  if (code !== undefined && (networkCodes.has(code) || serverStates.test(code) || code.startsWith('ERR_TLS'))) return true
  if (code !== undefined && /CERT|SELF_SIGNED/.test(code)) return true
  return error instanceof Error && lostByText.test(error.message)
}

/** True for 40001 and 40P01: the same transaction succeeds when it is tried again. */
export function isWorthRetrying(error: unknown): boolean {
  const code = errorCodeOf(error)
  return code === '40001' || code === '40P01'
}

/** True when a unique index (that one, if named) refused a row. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (errorCodeOf(error) !== '23505') return false
  return constraint === undefined || (error instanceof Error && 'constraint' in error && error.constraint === constraint)
}

/** True when a value did not fit: text with a zero byte, a number out of range, a text that is no uuid. The caller sent it. */
export function isDataException(error: unknown): boolean {
  return errorCodeOf(error)?.startsWith('22') === true
}
