import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import type { Log } from '../../src/db/log.ts'
import { until } from '../until.ts'

export { until }

/** Programs that can make a cluster on this machine; each test of the launcher runs with all of them. */
export const programSources: ('system' | 'npm')[] = existsSync('/usr/lib/postgresql') ? ['system', 'npm'] : ['npm']

export const isRoot = process.getuid?.() === 0

const cleanups = new WeakMap<TestContext, (() => unknown)[]>()

/** Runs after the test, the last one first: what uses a folder ends before the folder goes. (`t.after` runs the first one first.) */
export function cleanUp(t: TestContext, step: () => unknown): void {
  const steps = cleanups.get(t) ?? []
  if (steps.length === 0) {
    cleanups.set(t, steps)
    t.after(async () => {
      for (const one of steps.toReversed()) await one()
    })
  }
  steps.push(step)
}

/** A folder that is removed after the test; kept and named when the test fails. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'vpt-db-test-'))
  cleanUp(t, () => {
    if ('passed' in t && t.passed === true) rmSync(folder, { recursive: true, force: true })
    else t.diagnostic(`kept: ${folder}`)
  })
  return folder
}

export interface RunningProgram {
  child: ChildProcess
  /** Lines of standard output so far. */
  lines: string[]
  /** Resolves with the exit code; null after a signal. */
  ended: Promise<number | null>
  nextLine(): Promise<string>
}

/** Starts one of the small programs beside the tests as a process of its own; it is killed after the test. */
export function startProgram(t: TestContext, name: string, args: string[]): RunningProgram {
  const file = fileURLToPath(new URL(`./programs/${name}`, import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv.filter((one) => !one.startsWith('--test')), file, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  const ended = once(child, 'close').then(() => child.exitCode)
  cleanUp(t, async () => {
    child.kill('SIGKILL')
    await ended
  })
  let seen = 0
  return {
    child,
    lines,
    ended,
    async nextLine() {
      await until(
        `a line from ${name}`,
        () => lines.length > seen || child.exitCode !== null || child.signalCode !== null,
        60_000,
      )
      seen += 1
      const line = lines[seen - 1]
      if (line === undefined) throw new Error(`${name} ended without a line`)
      return line
    },
  }
}

export interface RecordedLog extends Log {
  /** Everything that was logged, as text. */
  readonly text: string
}

export function recordLog(): RecordedLog {
  const lines: string[] = []
  const write =
    (level: string) =>
    (fields: object, text: string): void => {
      lines.push(`${level} ${text} ${inspect(fields, { depth: 6 })}`)
    }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    get text() {
      return lines.join('\n')
    },
  }
}

/** Numbers that look random and are the same for the same seed; the seed is printed by the test. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
}
