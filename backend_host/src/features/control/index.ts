export * from './access.ts'
export * from './control.routes.ts'
export * from './web.routes.ts'
