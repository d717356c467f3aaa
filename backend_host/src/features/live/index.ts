export * from './av.routes.ts'
