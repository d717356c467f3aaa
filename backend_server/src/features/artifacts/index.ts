export * from './artifact.store.ts'
export * from './object-store.ts'
export * from './send-artifact.ts'
