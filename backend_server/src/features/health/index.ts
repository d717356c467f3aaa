export * from './health.routes.ts'
export * from './readiness.ts'
export * from './system-stats.ts'
export * from './watch-database.ts'
