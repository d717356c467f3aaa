export * from './alert-outbox.ts'
export type { FaultDelays } from './fault-detector.ts'
export * from './monitor.routes.ts'
export * from './monitor.ts'
