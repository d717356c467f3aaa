export * from './devices.ts'
