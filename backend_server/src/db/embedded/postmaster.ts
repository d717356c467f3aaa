import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Log } from '../log.ts'
import { identityOf, isAlive, isRunning, type ProcessIdentity, processesIn } from './process-identity.ts'

/*
 * The main process of a PostgreSQL server, found through the pid file in its data folder: started by us, or left alive by a
 * server of ours that was killed (then it is adopted, with all it has in memory).
 */

export interface Postmaster {
  identity: ProcessIdentity
  port: number
}

interface PidFile {
  pid: number
  port: number
  status: string
}

/** The pid file is written in steps: process id first, port and state later. */
export function readPidFile(cluster: string): PidFile | undefined {
  try {
    const lines = readFileSync(path.join(cluster, 'postmaster.pid'), 'utf8').split('\n')
    // A negative number is a server in single-user mode.
    const pid = Math.abs(Number(lines[0]))
    return Number.isInteger(pid) && pid > 1 ? { pid, port: Number(lines[3] ?? 0), status: (lines[7] ?? '').trim() } : undefined
  } catch {
    return undefined
  }
}

/** True when that process is a server of this very cluster, not a stranger who got the number of a dead one. */
function servesCluster(pid: number, cluster: string): boolean {
  if (!isRunning(pid)) return false
  if (!existsSync('/proc/self/cwd')) return true
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(cluster)
  } catch {
    return false
  }
}

const leftoverTimeoutMs = 20_000
/** A server that recovers from a crash is left in peace for longer. */
const leaderTimeoutMs = 300_000

/** A live server of this cluster, or undefined once it is certain that no process works in it any more. */
export async function findLivePostmaster(cluster: string, log: Log): Promise<Postmaster | undefined> {
  if (!existsSync(path.join(cluster, 'postmaster.pid'))) return undefined
  const startedAt = Date.now()
  for (;;) {
    const file = readPidFile(cluster)
    const leader = file && servesCluster(file.pid, cluster) ? file : undefined
    if (leader?.status === 'ready') return { identity: identityOf(leader.pid), port: leader.port }
    // Starting, stopping, or orphaned helpers that have not noticed yet: all of them change soon.
    if (!leader && processesIn(realpathSync(cluster)).length === 0) break
    if (Date.now() - startedAt > (leader ? leaderTimeoutMs : leftoverTimeoutMs)) break
    await pause(50)
  }
  await killLeftovers(cluster, log)
  // PostgreSQL itself refuses to start when a stranger has the number of the dead one, as happens in containers.
  rmSync(path.join(cluster, 'postmaster.pid'), { force: true })
  return undefined
}

/** Crash-safe like a power cut; two servers in one cluster would not be. */
async function killLeftovers(cluster: string, log: Log): Promise<void> {
  const folder = realpathSync(cluster)
  for (let pids = processesIn(folder); pids.length > 0; pids = processesIn(folder)) {
    log.warn({ pids }, 'killing processes that an earlier database server left behind')
    for (const pid of pids) signal(pid, 'SIGKILL')
    await pause(100)
  }
}

export type StartOutcome = { port: number } | { exit: string }

/** Waits until the started server takes connections; it may take its time to recover as long as it lives. */
export async function waitUntilReady(child: ChildProcess, cluster: string, timeoutMs: number): Promise<StartOutcome> {
  let exit: string | undefined
  child.once('error', (error) => (exit = error.message))
  child.once('exit', (code, name) => (exit = name ? `ended by ${name}` : `exit code ${code}`))
  const deadline = Date.now() + timeoutMs
  while (exit === undefined && Date.now() < deadline) {
    const file = readPidFile(cluster)
    if (file?.pid === child.pid && file?.status === 'ready') return { port: file.port }
    await pause(10)
  }
  return { exit: exit ?? `not ready after ${timeoutMs / 1000} s` }
}

const fastMs = 10_000
const immediateMs = 3000

/** SIGINT ends sessions and writes a checkpoint; what does not end in time is ended like by a power cut, which loses nothing. */
export async function stopPostmaster(one: Postmaster, cluster: string, log: Log): Promise<void> {
  for (const [name, ms] of [
    ['SIGINT', fastMs],
    ['SIGQUIT', immediateMs],
    ['SIGKILL', immediateMs],
  ] as const) {
    if (isAlive(one.identity) !== 'alive') return
    if (name !== 'SIGINT') log.warn({ pid: one.identity.pid, signal: name }, 'the database does not stop; trying harder')
    signal(one.identity.pid, name)
    const deadline = Date.now() + ms
    while (isAlive(one.identity) === 'alive' && Date.now() < deadline) await pause(10)
  }
  await killLeftovers(cluster, log)
}

/** Calls back once when the server ends; polls, because an adopted server is no child of ours. */
export function watchPostmaster(one: Postmaster, onExit: () => void): () => void {
  const timer = setInterval(() => {
    if (isAlive(one.identity) === 'alive') return
    clearInterval(timer)
    onExit()
  }, 500)
  timer.unref()
  return () => clearInterval(timer)
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has just ended.
  }
}
