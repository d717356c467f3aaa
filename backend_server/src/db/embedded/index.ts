export type { EmbeddedErrorCode } from './embedded-error.ts'
export { EmbeddedPostgresError } from './embedded-error.ts'
export type { EmbeddedOptions, EmbeddedPostgres } from './embedded-postgres.ts'
export { startEmbeddedPostgres } from './embedded-postgres.ts'
