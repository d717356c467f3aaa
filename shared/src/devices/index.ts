export * from './device.states.ts'
export * from './device-flag.contract.ts'
