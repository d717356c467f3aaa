export * from './device.states.ts'
export * from './device-flag.contract.ts'
export * from './device-holder.contract.ts'
