export * from './token.contract.ts'
