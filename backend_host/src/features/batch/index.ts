export * from './batch.routes.ts'
export * from './executions.ts'
