export * from './delete-old-events.job.ts'
export * from './event.routes.ts'
export * from './event-feed.ts'
export * from './event-socket.ts'
