import type { Container } from './container.ts'

export interface Megabytes {
  /** Shared pages are divided by the number of processes that have them, so sums are true. */
  pss: number
  /** Resident as `ps` shows it: shared pages count in full for every process, so sums are too high. */
  rss: number
}

/** Memory of each program with its children; what is none of the supervisor's programs is `supervisord` or `entrypoint`. */
export function memoryByProgram(container: Container): Record<string, Megabytes> {
  const processes = container.processes()
  const top = new Map(Object.entries(container.states()).map(([name, { pid }]) => [pid, name]))
  const nameOf = (pid: number): string => {
    const program = top.get(pid)
    if (program !== undefined) return program
    const one = processes.find((other) => other.pid === pid)
    if (!one || pid === 1) return 'entrypoint'
    return one.ppid === 1 ? 'supervisord' : nameOf(one.ppid)
  }
  const sums: Record<string, Megabytes> = {}
  for (const { pid, kilobytes } of processes) {
    const rollup = container.exec('cat', `/proc/${pid}/smaps_rollup`).stdout
    const pss = Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0)
    const sum = sums[nameOf(pid)] ?? { pss: 0, rss: 0 }
    sums[nameOf(pid)] = { pss: sum.pss + pss / 1024, rss: sum.rss + kilobytes / 1024 }
  }
  return sums
}
