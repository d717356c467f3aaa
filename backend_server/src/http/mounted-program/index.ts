export { cutUnknownUpgrades } from './cut-unknown-upgrades.ts'
export { type MountedProgram, mountProgram } from './mount-program.ts'
export { type ProgramRequest, splitUrl } from './program-request.ts'
export { endSocket, escapeHtml, jsonRefusal, type Page, pageHtml, plainPage, strictPolicy } from './refusal.ts'
