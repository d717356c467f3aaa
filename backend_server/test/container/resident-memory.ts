import { existsSync, readFileSync } from 'node:fs'
import type { Container } from './container.ts'

/*
 * What the programs of a container hold in memory, read from outside.
 * - RSS counts shared pages for each process that has them: too high for PostgreSQL and for forks.
 * - PSS shares them out among all processes of the machine: too low where programs outside use the same files, as a Node that
 *   runs the tests does.
 * - `onceMb` counts each page of the container once, as if it were alone on its machine. That is what a memory limit sees.
 */

export interface ProgramMemory {
  rssMb: number
  pssMb: number
}

export interface ResidentMemory {
  programs: Record<string, ProgramMemory>
  rssMb: number
  pssMb: number
  onceMb: number
}

export interface ProcessTree {
  /** First process, as seen from here. */
  pid: number
  /** Programs by the number of their first process inside. */
  programs: ReadonlyMap<number, string>
}

export const programsOf = (container: Container): ReadonlyMap<number, string> =>
  new Map(Object.entries(container.states()).map(([name, { pid }]) => [pid, name]))

export function residentMemory({ pid, programs }: ProcessTree): ResidentMemory {
  const result: ResidentMemory = { programs: {}, rssMb: 0, pssMb: 0, onceMb: 0 }
  const files = new Map<string, number>()
  let privateKb = 0
  const visit = (one: number, parentName: string, depth: number): void => {
    const text = read(one, 'smaps_rollup')
    const status = read(one, 'status')
    const inner = Number(/^NSpid:.*\s(\d+)$/m.exec(status)?.[1] ?? 0)
    const name = programs.get(inner) ?? (depth === 0 ? 'entrypoint' : depth === 1 ? 'supervisord' : parentName)
    const sum = result.programs[name] ?? { rssMb: 0, pssMb: 0 }
    result.programs[name] = { rssMb: sum.rssMb + field(text, 'Rss') / 1024, pssMb: sum.pssMb + field(text, 'Pss') / 1024 }
    privateKb += field(text, 'Pss_Anon') + field(text, 'Pss_Shmem')
    for (const { file, kilobytes } of filePages(read(one, 'smaps'))) files.set(file, Math.max(files.get(file) ?? 0, kilobytes))
    for (const child of childrenOf(one)) visit(child, name, depth + 1)
  }
  visit(pid, '', 0)
  for (const { rssMb, pssMb } of Object.values(result.programs)) {
    result.rssMb += rssMb
    result.pssMb += pssMb
  }
  result.onceMb = (privateKb + [...files.values()].reduce((sum, one) => sum + one, 0)) / 1024
  return result
}

export const memoryOf = (container: Container): ResidentMemory =>
  residentMemory({ pid: container.pid, programs: programsOf(container) })

export function showMemory({ programs, onceMb, rssMb }: ResidentMemory): string {
  const parts = Object.entries(programs).map(([name, one]) => `${name} ${Math.round(one.rssMb)} (${Math.round(one.pssMb)})`)
  return `MB resident (PSS): ${parts.join(', ')}; all with each page once ${Math.round(onceMb)} (resident ${Math.round(rssMb)})`
}

/** Resident pages of files by mapping; the same part of a file in two processes is the same memory. */
function filePages(smaps: string): { file: string; kilobytes: number }[] {
  return smaps.split(/^(?=[\da-f]+-[\da-f]+ )/m).flatMap((mapping) => {
    const [, offset, device, inode, path = ''] = /^[\da-f]+-[\da-f]+ \S+ ([\da-f]+) (\S+) (\d+) *(.*)$/m.exec(mapping) ?? []
    const isMemory = /^(\/dev\/zero|\/SYSV|\/dev\/shm\/|\/memfd:|$)/.test(path)
    if (inode === '0' || isMemory) return []
    return [{ file: `${device}:${inode}:${offset}`, kilobytes: field(mapping, 'Rss') - field(mapping, 'Anonymous') }]
  })
}

const field = (text: string, name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0)

/** Empty for a process that has just ended. */
function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return ''
  }
}

const childrenOf = (pid: number): number[] => {
  const file = `/proc/${pid}/task/${pid}/children`
  return existsSync(file) ? read(pid, `task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number) : []
}
