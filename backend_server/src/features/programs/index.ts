export * from './program.routes.ts'
export * from './supervised-programs.ts'
