export * from './reference.contract.ts'
