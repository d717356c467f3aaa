import { plain } from '../terminal.ts'

/** One line of a program's log, which is JSON. */
export interface LogEntry {
  level: number
  message: string
  fields: Record<string, unknown>
}

export const warnLevel = 40
export const errorLevel = 50

/** Undefined for a line that is not of the log, such as one meant for the person at the terminal. */
export function readLogEntry(line: string): LogEntry | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const fields = JSON.parse(line) as Record<string, unknown>
    if (typeof fields.level !== 'number') return undefined
    return { level: fields.level, message: typeof fields.msg === 'string' ? fields.msg : '', fields }
  } catch {
    return undefined
  }
}

const idsShown = ['host_name', 'device_id', 'run_id', 'status', 'error', 'reason', 'code']

/** The entry in one short line: what happened, why, and to whom. */
export function shortEntry({ message, fields }: LogEntry): string {
  const cause = (fields.err as { message?: unknown } | undefined)?.message
  const ids = idsShown.flatMap((name) => {
    const value = fields[name]
    return typeof value === 'string' || typeof value === 'number' ? [`${name} ${value}`] : []
  })
  const parts = [message, ...(typeof cause === 'string' && !message.includes(cause) ? [cause] : [])]
  return plain(`${parts.join(': ')}${ids.length > 0 ? ` (${ids.join(', ')})` : ''}`)
}
