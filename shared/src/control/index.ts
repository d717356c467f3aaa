export * from './control.contract.ts'
