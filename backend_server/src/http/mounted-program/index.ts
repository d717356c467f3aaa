export { cutUnknownUpgrades } from './cut-unknown-upgrades.ts'
export { type MountedProgram, mountProgram } from './mount-program.ts'
export type { ProgramRequest } from './program-request.ts'
export { escapeHtml, type Page, pageHtml } from './refusal.ts'
