/** Something expected was not there: the step has failed. */
export class CheckError extends Error {
  override name = 'CheckError'
}

/** The device refused or could not do a command: the step is an error, not a verdict about the device. */
export class CommandError extends Error {
  override name = 'CommandError'
}

/** The parameters of the script are wrong. */
export class ParameterError extends Error {
  override name = 'ParameterError'
}

/** The agent answered with an error, or not at all. */
export class AgentError extends Error {
  override name = 'AgentError'
  readonly code: string

  constructor(message: string, code: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Failed is what a check found; everything else is an error of the script, the device or the lab. */
export function isCheckFailure(cause: unknown): boolean {
  if (cause instanceof CheckError) return true
  return cause instanceof Error && (cause.name === 'AssertionError' || ('code' in cause && cause.code === 'ERR_ASSERTION'))
}

export function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
