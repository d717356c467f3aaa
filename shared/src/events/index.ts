export * from './event.contract.ts'
