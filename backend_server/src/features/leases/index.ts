export * from './expire-leases.job.ts'
export * from './holder.ts'
export * from './lease.routes.ts'
export * from './lease.store.ts'
