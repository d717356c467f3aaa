export type EmbeddedErrorCode = 'data_folder_in_use' | 'data_folder_unusable' | 'no_binaries' | 'start_failed'

/** Why the embedded database did not start. The message is meant for the operator's screen and holds no secret. */
export class EmbeddedPostgresError extends Error {
  readonly code: EmbeddedErrorCode

  constructor(code: EmbeddedErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'EmbeddedPostgresError'
    this.code = code
  }
}
