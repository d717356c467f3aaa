export * from './lease.contract.ts'
export * from './lease.states.ts'
