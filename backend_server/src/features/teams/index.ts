export * from './team.routes.ts'
