export * from './batch.contract.ts'
