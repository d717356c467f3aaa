export * from './find-scripts.ts'
export * from './interpreter.ts'
export * from './split-parameters.ts'
