import type { CommandResult } from '../driver.ts'
import { type AndroidDevice, firstLine, type RunOptions } from './android-device.ts'

export function done(message: string, more: Record<string, unknown> = {}): CommandResult {
  return { success: true, message, ...more }
}

export function refused(message: string, more: Record<string, unknown> = {}): CommandResult {
  return { success: false, message, ...more }
}

/** Category and type under which the clients of the protocol look for commands of a phone or TV. */
export const remote = { actions: 'Remote', type: 'remote' } as const

const complaints = /^(?:\*\* .*|Error\b.*|ERROR\b.*|.*Exception\b.*|.*Permission denied.*|.*not found)$/m

/**
 * Runs a line and says what went wrong. Programs of Android often end with 0 and complain in words, so the words
 * count, too.
 */
export async function runOrExplain(
  device: AndroidDevice,
  line: string,
  signal: AbortSignal,
  options?: RunOptions,
): Promise<{ text: string; problem: string | null }> {
  const { stdout, stderr, exitCode } = await device.run(line, signal, options)
  const text = stdout.toString('utf8').trim()
  const complaint = complaints.exec(`${stderr}\n${text}`)
  if (complaint) return { text, problem: firstLine(complaint[0]) }
  if (exitCode !== null && exitCode !== 0) return { text, problem: firstLine(stderr || text) || `it ended with ${exitCode}` }
  return { text, problem: null }
}
