export * from './desktop.routes.ts'
export * from './run-shell.ts'
export * from './shell-commands.ts'
