export * from './script.routes.ts'
export { listScripts } from './script-folder.ts'
