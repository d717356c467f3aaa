export * from './host.contract.ts'
export * from './host.states.ts'
