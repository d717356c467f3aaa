export * from './run.contract.ts'
export * from './run.states.ts'
export * from './run-agent.contract.ts'
