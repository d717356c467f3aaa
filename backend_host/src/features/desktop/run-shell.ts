import { spawn } from 'node:child_process'
import { endProcesses } from '../../process/processes.ts'

/** Output beyond this is cut off at its beginning: what a command says last is what counts. */
const longestOutput = 256 * 1024

export interface ShellRun {
  file: string
  args: readonly string[]
  cwd: string
  env: Readonly<Record<string, string>>
  /** Given to the program as its standard input. */
  input?: string
  timeoutMs: number
}

export interface ShellResult {
  output: string
  error: string
  /** Null when it did not end by itself. */
  exitCode: number | null
  isTimedOut: boolean
}

/** Runs a program to its end, with everything it starts; whatever is left of it at the end is ended. */
export async function runShell(run: ShellRun, signal: AbortSignal): Promise<ShellResult> {
  signal.throwIfAborted()
  const child = spawn(run.file, [...run.args], { cwd: run.cwd, env: run.env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  let error = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-longestOutput)))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (error = (error + text).slice(-longestOutput)))
  // It may end before it has read everything.
  child.stdin.on('error', () => undefined)
  child.stdin.end(run.input ?? '')
  const set = { groupId: child.pid, tags: [] }
  let isTimedOut = false
  const stop = (): void => void endProcesses(set, 500).catch(() => undefined)
  const timer = setTimeout(() => {
    isTimedOut = true
    stop()
  }, run.timeoutMs)
  signal.addEventListener('abort', stop, { once: true })
  try {
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code) => resolve(code))
    })
    if (child.pid !== undefined) await endProcesses(set, 500)
    signal.throwIfAborted()
    return { output, error, exitCode, isTimedOut }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}
