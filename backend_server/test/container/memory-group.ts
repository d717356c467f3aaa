import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { until } from '../until.ts'

/*
 * A memory control group (version 1), which is what `docker run --memory` sets.
 */

const root = '/sys/fs/cgroup/memory'

export const cannotLimitMemory = (): string | false =>
  existsSync(path.join(root, 'memory.limit_in_bytes')) ? false : 'needs the memory control group (version 1)'

export interface MemoryGroup {
  /** Makes the group; a command that starts with these words runs inside. */
  enter: () => string[]
  /** Removes the group; only once everything inside has ended. */
  leave: () => Promise<void>
  /** How often the kernel has killed something inside for want of memory. */
  kills: () => number
  /** Highest use so far, pages of files included: the kernel gives those up before it kills. */
  peakMb: () => number
  /** What programs hold without pages of files that can be given up. */
  anonymousMb: () => number
}

/** For `memoryGroup` of a container, which enters it at its start and leaves it at its end. */
export function memoryGroup(name: string, limitMb: number): MemoryGroup {
  const folder = path.join(root, `vpt-${process.pid}-${name}`)
  const number = (file: string, pattern: RegExp): number =>
    Number(pattern.exec(readFileSync(path.join(folder, file), 'utf8'))?.[1] ?? Number.NaN)
  return {
    enter() {
      mkdirSync(folder)
      writeFileSync(path.join(folder, 'memory.limit_in_bytes'), String(limitMb * 2 ** 20))
      return ['sh', '-c', `echo $$ > ${folder}/cgroup.procs && exec "$@"`, 'sh']
    },
    async leave() {
      // The kernel takes a moment to let go of the last process.
      await until('the memory group is empty', () => wasRemoved(folder))
    },
    kills: () => number('memory.oom_control', /^oom_kill (\d+)$/m),
    peakMb: () => number('memory.max_usage_in_bytes', /(\d+)/) / 2 ** 20,
    anonymousMb: () => number('memory.stat', /^total_rss (\d+)$/m) / 2 ** 20,
  }
}

function wasRemoved(folder: string): true | undefined {
  try {
    rmdirSync(folder)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return undefined
    throw error
  }
}
