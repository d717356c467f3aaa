import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { createLineSplitter } from './line-splitter.ts'
import { endProcesses, type ProcessSet, startTimeOf } from './processes.ts'

export interface Command {
  file: string
  args: readonly string[]
  cwd: string
  env: Record<string, string>
  /** NAME=value pairs of `env` by which the run's processes are found again. */
  tags: readonly string[]
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface RunProcess {
  pid: number
  startTime: number | undefined
  /**
   * Resolves when the main process has ended, no other process of the run is left and all its output was handed on;
   * also when stop() had to give up a process that even SIGKILL does not end (one that hangs inside the kernel).
   */
  ended: Promise<Exit>
  /** SIGTERM for everything, SIGKILL after the grace time. */
  stop(graceMs?: number): Promise<void>
}

/** How long the output may stay silent after the last process is gone before the pipe is given up. */
const silentPipeMs = 2_000

/**
 * Starts a program without a shell, in its own process group, and hands on its output line by line. `onLines` never
 * rejects and slows the program down while it has not resolved. Rejects when the program cannot be started.
 */
export async function startProcess(command: Command, onLines: (lines: string[]) => Promise<void>): Promise<RunProcess> {
  const child = spawn(command.file, [...command.args], {
    cwd: command.cwd,
    env: command.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  await once(child, 'spawn')
  const pid = child.pid
  if (pid === undefined || !child.stdout || !child.stderr) throw new Error('The program has no process id.')
  const set: ProcessSet = { groupId: pid, tags: command.tags }
  const givenUp = Promise.withResolvers<Exit>()
  return {
    pid,
    startTime: startTimeOf(pid),
    ended: collect(child, set, onLines, [child.stdout, child.stderr], givenUp.promise),
    async stop(graceMs) {
      if (!(await endProcesses(set, graceMs))) givenUp.resolve({ code: null, signal: 'SIGKILL' })
    },
  }
}

async function collect(
  child: ChildProcess,
  set: ProcessSet,
  onLines: (lines: string[]) => Promise<void>,
  streams: readonly Readable[],
  givenUp: Promise<Exit>,
): Promise<Exit> {
  const activity = { at: performance.now() }
  const pumps = streams.map((stream) => pump(stream, onLines, activity))
  const exited = once(child, 'exit').then(([code, signal]): Exit => ({ code, signal }))
  const exit = await Promise.race([exited, givenUp])
  // What the script left behind ends with it: the device belongs to the next run.
  await endProcesses(set)
  const drained = new AbortController()
  const guard = closeSilentPipes(streams, activity, drained.signal)
  await Promise.all(pumps)
  drained.abort()
  await guard
  return exit
}

async function pump(stream: Readable, onLines: (lines: string[]) => Promise<void>, activity: { at: number }): Promise<void> {
  const splitter = createLineSplitter()
  try {
    for await (const chunk of stream) {
      activity.at = performance.now()
      const lines = splitter.push(chunk as Buffer)
      if (lines.length > 0) await onLines(lines)
      activity.at = performance.now()
    }
  } catch {
    // A pipe that breaks or was given up ends like any other; what came before is kept.
  }
  const rest = splitter.end()
  if (rest.length > 0) await onLines(rest)
}

/**
 * A process of another user or one that wiped its environment may hold the pipe open for ever.
 * Output that is still being read counts as activity, so nothing that was written is lost.
 */
async function closeSilentPipes(streams: readonly Readable[], activity: { at: number }, signal: AbortSignal): Promise<void> {
  activity.at = performance.now()
  while (!signal.aborted) {
    if (performance.now() - activity.at > silentPipeMs) for (const stream of streams) stream.destroy()
    await pause(100, undefined, { signal }).catch(() => undefined)
  }
}
