import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { TestContext } from 'node:test'

/*
 * A memory control group (version 1), which is what `docker run --memory` sets.
 */

const root = '/sys/fs/cgroup/memory'

export const cannotLimitMemory = (): string | false =>
  existsSync(path.join(root, 'memory.limit_in_bytes')) ? false : 'needs the memory control group (version 1)'

export interface MemoryGroup {
  /** Start a command with these words and it runs inside. */
  launcher: string[]
  /** How often the kernel has killed something inside for want of memory. */
  kills: () => number
  /** Highest use so far, pages of files included: the kernel gives those up before it kills. */
  peakMb: () => number
  /** What programs hold without pages of files that can be given up. */
  anonymousMb: () => number
}

export function openMemoryGroup(t: Pick<TestContext, 'after'>, name: string, limitMb: number): MemoryGroup {
  const folder = path.join(root, `vpt-${process.pid}-${name}`)
  mkdirSync(folder)
  // Empty once its container has ended, which was registered later and so may end later.
  t.after(async () => {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      try {
        return rmdirSync(folder)
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  })
  const number = (file: string, pattern: RegExp): number =>
    Number(pattern.exec(readFileSync(path.join(folder, file), 'utf8'))?.[1] ?? Number.NaN)
  writeFileSync(path.join(folder, 'memory.limit_in_bytes'), String(limitMb * 2 ** 20))
  return {
    launcher: ['sh', '-c', `echo $$ > ${folder}/cgroup.procs && exec "$@"`, 'sh'],
    kills: () => number('memory.oom_control', /^oom_kill (\d+)$/m),
    peakMb: () => number('memory.max_usage_in_bytes', /(\d+)/) / 2 ** 20,
    anonymousMb: () => number('memory.stat', /^total_rss (\d+)$/m) / 2 ** 20,
  }
}
