export * from './token.routes.ts'
export * from './token.store.ts'
