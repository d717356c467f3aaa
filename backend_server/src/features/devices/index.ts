export * from './device.routes.ts'
export * from './device-flag.routes.ts'
