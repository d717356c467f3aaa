export * from './delete-old-history.job.ts'
export * from './device.routes.ts'
export * from './device-flag.routes.ts'
