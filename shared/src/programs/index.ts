export * from './program.contract.ts'
