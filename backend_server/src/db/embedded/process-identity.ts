import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/*
 * Who a process is. A process id alone says little: after a reboot, or in a fresh container, the same number belongs to
 * somebody else. The start time from /proc tells them apart; boot id and pid namespace say whether the number can be
 * looked up here at all.
 */

export interface ProcessIdentity {
  pid: number
  /** Clock ticks since boot; null where there is no /proc. */
  startTime: string | null
  bootId: string | null
  pidNamespace: string | null
}

export function identityOf(pid: number): ProcessIdentity {
  return { pid, startTime: statOf(pid)?.startTime ?? null, ...thisMachine() }
}

/** `unknown`: the process lives, or lived, where this process cannot see it (another container or machine, or before a reboot). */
export function isAlive(one: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  const here = thisMachine()
  if (one.bootId !== here.bootId || one.pidNamespace !== here.pidNamespace) return 'unknown'
  if (here.bootId === null) return isRunning(one.pid) ? 'alive' : 'dead'
  const now = statOf(one.pid)
  return now !== undefined && now.startTime === one.startTime && now.state !== 'Z' ? 'alive' : 'dead'
}

/** True while a process of this number exists and is more than a zombie. */
export function isRunning(pid: number): boolean {
  const stat = statOf(pid)
  if (stat) return stat.state !== 'Z' && stat.state !== 'X'
  if (thisMachine().bootId !== null) return false
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Processes whose working folder is this one; every process of a PostgreSQL server works in its data folder. */
export function processesIn(folder: string): number[] {
  let names: string[]
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
  return names
    .map(Number)
    .filter((pid) => pid !== process.pid && tryRead(() => readlinkSync(`/proc/${pid}/cwd`)) === folder && isRunning(pid))
}

function thisMachine(): { bootId: string | null; pidNamespace: string | null } {
  return {
    bootId: tryRead(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? null,
    pidNamespace: tryRead(() => readlinkSync('/proc/self/ns/pid')) ?? null,
  }
}

function statOf(pid: number): { state: string; startTime: string } | undefined {
  const text = tryRead(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  // The second field is the program's name in parentheses and may hold anything, spaces and parentheses included.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields?.[0] && fields[19] ? { state: fields[0], startTime: fields[19] } : undefined
}

function tryRead<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
