export { mountReferenceRoutes } from './reference.routes.ts'
export { referencesFor } from './references-for.ts'
