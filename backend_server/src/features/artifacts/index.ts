export * from './artifact.store.ts'
export * from './object-store.ts'
