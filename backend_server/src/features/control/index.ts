export * from './control.routes.ts'
