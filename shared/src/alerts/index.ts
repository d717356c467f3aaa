export * from './alert.contract.ts'
export * from './alert.states.ts'
