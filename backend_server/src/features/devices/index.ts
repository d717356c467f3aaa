export * from './device-flag.routes.ts'
