export * from './health.store.ts'
