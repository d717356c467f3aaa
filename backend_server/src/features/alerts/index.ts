export * from './alert.routes.ts'
export * from './resolve-gone.job.ts'
