export * from './fences.ts'
