import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { createWriteStream, renameSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { ownModule, type ProgramName, spawnProgram } from '../programs.ts'
import { type LogEntry, readLogEntry } from './log-entry.ts'

export interface LabProgramOptions {
  name: ProgramName
  env: NodeJS.ProcessEnv
  logFile: string
  onEntry: (entry: LogEntry) => void
  /** A line on standard output that is not of the log. It is not written to the file: it may be a secret. */
  onText: (line: string) => void
}

export interface LabProgram {
  /** How it ended: `exit status 1`, `signal SIGKILL`. */
  readonly ended: Promise<{ how: string; status: number | null; lastWords: string[] }>
  hasEnded(): boolean
  /** Asks it to stop and kills it when it has not within the time. True when it stopped by itself. */
  stop(limitMs: number): Promise<boolean>
  /** Asks once more, which ends it at once. */
  hurry(): void
}

const largestLogBytes = 20 * 1024 * 1024
const wordsKept = 20

/**
 * One program of the demo. It has a session of its own, so that Ctrl-C reaches this command alone, which then stops the
 * programs one after another; and it ends by itself when this command is gone.
 */
export function startLabProgram({ name, env, logFile, onEntry, onText }: LabProgramOptions): LabProgram {
  keepOneOld(logFile)
  const file = createWriteStream(logFile, { flags: 'a', mode: 0o600 })
  // A full disk must not end the lab: it goes on without a log.
  file.on('error', () => undefined)
  const options: SpawnOptions = { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true }
  const child = spawnProgram(name, options, ['--import', ownModule('demo/end-with-parent')])
  const lastWords: string[] = []
  const remember = (line: string): void => {
    lastWords.push(line)
    if (lastWords.length > wordsKept) lastWords.shift()
  }
  let isOver = false

  onLines(child, 'stdout', (line) => {
    const entry = readLogEntry(line)
    if (!entry) {
      onText(line)
      return
    }
    file.write(`${line}\n`)
    onEntry(entry)
  })
  onLines(child, 'stderr', (line) => {
    file.write(`${line}\n`)
    if (line.trim() !== '') remember(line)
  })
  const ended = new Promise<{ how: string; status: number | null; lastWords: string[] }>((resolve) => {
    child.once('error', (error) => finish(error.message, null))
    // After its last lines have been read.
    child.once('close', (status, signal) => finish(signal === null ? `exit status ${status}` : `signal ${signal}`, status))
    function finish(how: string, status: number | null): void {
      isOver = true
      file.end(() => resolve({ how, status, lastWords }))
    }
  })

  return {
    ended,
    hasEnded: () => isOver,
    hurry: () => void child.kill('SIGTERM'),
    async stop(limitMs) {
      if (isOver) return true
      child.kill('SIGTERM')
      const waiting = new AbortController()
      const isLate = await Promise.race([
        ended.then(() => false),
        sleep(limitMs, true, { signal: waiting.signal }).catch(() => false),
      ])
      waiting.abort()
      if (!isLate) return true
      child.kill('SIGKILL')
      await ended
      return false
    },
  }
}

function onLines(child: ChildProcess, name: 'stdout' | 'stderr', handle: (line: string) => void): void {
  const stream = child[name]
  if (stream) createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', handle)
}

/** Logs of a lab that is started every day must not fill the disk. */
function keepOneOld(logFile: string): void {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0
  if (size > largestLogBytes) renameSync(logFile, `${logFile}.1`)
}
