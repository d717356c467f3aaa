export { mountBatchRoutes } from './batch.routes.ts'
export { cancelPath } from './batch.store.ts'
export { mountBrowserRoutes } from './browser-task.routes.ts'
export { createBatchWatcher } from './watch-batches.ts'
