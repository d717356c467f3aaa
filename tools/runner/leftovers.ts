// Finds the processes that a test file has left behind, also those in a process group or session of their own:
// every descendant has inherited a mark in its environment.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export const markName = 'VPT_TEST_FILE'

/** A killed process is gone when it was given the processor once more. */
const killMs = 10_000

export interface Leftover {
  pid: number
  command: string
}

export function findLeftovers(mark: string): Leftover[] {
  const found: Leftover[] = []
  for (const name of readProcesses()) {
    try {
      if (!readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(`${markName}=${mark}`)) continue
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
      if (command !== '') found.push({ pid: Number(name), command }) // without a command line it is dead and waits for its parent
    } catch {
      // It has ended meanwhile, or belongs to somebody else.
    }
  }
  return found
}

function readProcesses(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return [] // no /proc on this system: leftovers are not found
  }
}

/** Gives them a moment to end by themselves, kills the rest and returns what had to be killed. */
export async function killLeftovers(mark: string, graceMs: number): Promise<Leftover[]> {
  const deadline = Date.now() + graceMs
  let left = findLeftovers(mark)
  while (left.length > 0 && Date.now() < deadline) {
    await sleep(50)
    left = findLeftovers(mark)
  }
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It was faster.
    }
  }
  const goneBy = Date.now() + killMs
  while (findLeftovers(mark).length > 0 && Date.now() < goneBy) await sleep(20)
  return left
}
