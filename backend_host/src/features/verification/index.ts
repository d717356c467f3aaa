export * from './checks.ts'
export * from './reference.routes.ts'
export { createReferences, GivenReferences } from './references.ts'
export * from './verification.routes.ts'
