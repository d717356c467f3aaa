export type BackupErrorCode = 'damaged' | 'not_empty' | 'newer' | 'unusable' | 'no_space' | 'no_file'

/** Why a backup was not made, or not restored. The message is meant for the operator's screen and holds no secret. */
export class BackupError extends Error {
  readonly code: BackupErrorCode

  constructor(code: BackupErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'BackupError'
    this.code = code
  }
}
