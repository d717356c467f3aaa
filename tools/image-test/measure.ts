// Figures of a running container: time to the first health answer, resident memory by program.
import { type Container, startContainer } from '../../backend_server/test/container/container.ts'
import { until } from '../../backend_server/test/start-lab.ts'

export interface Figures {
  topology: string
  healthMs: number
  readyMs: number
  stopMs: number
  megabytes: Record<string, number>
}

const settleMs = 15_000

export async function measure(image: string, topology: 'direct' | 'nginx'): Promise<Figures> {
  const endings: (() => Promise<void> | void)[] = []
  const after = (ending: () => Promise<void>): void => void endings.push(ending)
  try {
    const from = performance.now()
    const container = await startContainer({ after }, { image, env: { TOPOLOGY: topology, GRAFANA: 'embedded' } })
    const entry = topology === 'direct' ? 'http://127.0.0.1:10000' : 'http://127.0.0.1'
    const answers = (path: string) => () => container.http(`${entry}${path}`).status === 200
    await until('health', answers('/health'), 60_000)
    const healthMs = performance.now() - from
    await until('ready', answers('/readyz'), 60_000)
    const readyMs = performance.now() - from
    await new Promise((resolve) => setTimeout(resolve, settleMs))
    const megabytes = memoryOf(container)
    const { ms } = await container.stop()
    return { topology, healthMs, readyMs, stopMs: ms, megabytes }
  } finally {
    for (const ending of endings) await ending()
  }
}

/** Resident memory with children; shared pages of PostgreSQL count once for each of its processes, so its sum is too high. */
function memoryOf(container: Container): Record<string, number> {
  const processes = container.processes()
  const top = new Map(Object.entries(container.states()).map(([name, { pid }]) => [pid, name]))
  const nameOf = (pid: number): string => {
    const program = top.get(pid)
    if (program !== undefined) return program
    const one = processes.find((other) => other.pid === pid)
    if (!one || pid === 1) return 'entrypoint'
    return one.ppid === 1 ? 'supervisord' : nameOf(one.ppid)
  }
  const sums: Record<string, number> = {}
  for (const { pid, kilobytes } of processes) sums[nameOf(pid)] = (sums[nameOf(pid)] ?? 0) + kilobytes / 1024
  return sums
}
