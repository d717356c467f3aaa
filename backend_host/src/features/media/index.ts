export * from './media.routes.ts'
export * from './media-store.ts'
export * from './send-file.ts'
