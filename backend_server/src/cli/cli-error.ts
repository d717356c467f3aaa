import type { ApiError } from '@virtualpytest/shared'

/** What scripts and CI read of a call. The first four are the verdict of a run. */
export const exitCodes = { passed: 0, failed: 1, error: 2, cancelled: 3, refused: 4 } as const

export interface CliErrorOptions {
  /** What to try next, one line each. */
  hints?: readonly string[]
  /** The answer of the server, where it was one. */
  answer?: ApiError
  status?: number
  exitCode?: number
  cause?: unknown
}

/** Ends the command with a sentence for the person at the terminal; everything else that is thrown is a bug and keeps its stack. */
export class CliError extends Error {
  readonly hints: readonly string[]
  readonly answer: ApiError | undefined
  readonly status: number | undefined
  readonly exitCode: number

  constructor(message: string, options: CliErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'CliError'
    this.hints = options.hints ?? []
    this.answer = options.answer
    this.status = options.status
    this.exitCode = options.exitCode ?? exitCodes.refused
  }
}
