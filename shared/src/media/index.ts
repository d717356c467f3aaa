export * from './media.contract.ts'
