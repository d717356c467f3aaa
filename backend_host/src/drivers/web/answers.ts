import type { CommandResult } from '../driver.ts'

export function done(message: string, more: Record<string, unknown> = {}): CommandResult {
  return { success: true, message, ...more }
}

export function refused(message: string, more: Record<string, unknown> = {}): CommandResult {
  return { success: false, message, ...more }
}

/** Category and type under which the clients of the protocol look for commands of a browser. */
export const web = { actions: 'Web', type: 'web' } as const

/** The longest wait for an element to be ready for an action. */
export const actionMs = 5000
