export * from './script.contract.ts'
export * from './script-args.ts'
