export * from './av.routes.ts'
export * from './live.routes.ts'
export * from './live.ts'
export type { Frame, PictureFeed } from './picture-feed.ts'
