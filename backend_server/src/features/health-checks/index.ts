export { checkIdleDevicesJob } from './check-idle.job.ts'
export { mountHealthCheckRoutes } from './health-check.routes.ts'
export { createHealthChecks } from './health-checks.ts'
