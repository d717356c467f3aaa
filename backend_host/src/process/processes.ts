import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** How long processes have to obey SIGTERM before SIGKILL. */
export const killGraceMs = 5_000
const afterKillMs = 2_000
const pollMs = 40

/** The processes of one run: its group, and every process that carries the run's environment (it may have left the group). */
export interface ProcessSet {
  groupId: number | undefined
  /** NAME=value pairs that all stand in the environment of the run's processes and of no other. */
  tags: readonly string[]
}

interface ProcessFacts {
  pid: number
  groupId: number
  startTime: number
}

/**
 * Start time of a process in clock ticks since boot. A pid is used again, a pid with its start time is not.
 * Undefined when the process is gone, is a zombie, or the system has no /proc.
 */
export const startTimeOf = (pid: number): number | undefined => factsOf(pid)?.startTime

function factsOf(pid: number): ProcessFacts | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The name in parentheses may contain anything; fields are counted after the last closing one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  if (state === 'Z' || state === 'X') return undefined
  return { pid, groupId: Number(fields[2]), startTime: Number(fields[19]) }
}

function hasTags(pid: number, tags: readonly string[]): boolean {
  if (tags.length === 0) return false
  try {
    const environment = new Set(readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0'))
    return tags.every((tag) => environment.has(tag))
  } catch {
    return false
  }
}

/** Processes of the set that are alive; zombies are dead. */
export function findLive(set: ProcessSet): number[] {
  let entries: string[]
  try {
    entries = readdirSync('/proc')
  } catch {
    return set.groupId !== undefined && signal(-set.groupId, 0) ? [set.groupId] : []
  }
  return entries.flatMap((entry) => {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    const facts = factsOf(pid)
    if (!facts) return []
    return facts.groupId === set.groupId || hasTags(pid, set.tags) ? [pid] : []
  })
}

/**
 * Ends every process of a run: SIGTERM, SIGKILL after the grace time. True when none is left.
 * A process that is stopped obeys SIGTERM only after SIGCONT.
 */
export async function endProcesses(set: ProcessSet, graceMs = killGraceMs): Promise<boolean> {
  const until = performance.now() + graceMs
  let told: number[] = []
  for (;;) {
    const live = findLive(set)
    if (live.length === 0) return true
    if (performance.now() >= until) break
    // New members are told too, the ones that were told already are left to clean up.
    tell(
      set,
      live.filter((pid) => !told.includes(pid)),
      ['SIGTERM', 'SIGCONT'],
    )
    told = live
    await pause(pollMs)
  }
  const end = performance.now() + afterKillMs
  for (;;) {
    const live = findLive(set)
    if (live.length === 0) return true
    if (performance.now() >= end) return false
    tell(set, live, ['SIGKILL'])
    await pause(pollMs)
  }
}

function tell(set: ProcessSet, pids: readonly number[], signals: readonly NodeJS.Signals[]): void {
  if (pids.length === 0) return
  for (const name of signals) {
    // The whole group in one call first, so that no member can start another one in between.
    if (name === 'SIGKILL' && set.groupId !== undefined) signal(-set.groupId, name)
    for (const pid of pids) signal(pid, name)
  }
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
