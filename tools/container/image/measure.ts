// Figures of a running container: time to the first health answer, memory by program.
import { type Container, startContainer } from '../../../backend_server/test/container/container.ts'
import { memoryOf, type ResidentMemory } from '../../../backend_server/test/container/resident-memory.ts'
import { until } from '../../../backend_server/test/until.ts'

export interface Figures {
  topology: string
  healthMs: number
  readyMs: number
  stopMs: number
  memory: ResidentMemory
}

const settleMs = 15_000

export async function measure(image: string, topology: 'direct' | 'nginx'): Promise<Figures> {
  const endings: (() => Promise<void> | void)[] = []
  const after = (ending: () => Promise<void>): void => void endings.push(ending)
  try {
    const from = performance.now()
    const container: Container = await startContainer({ after }, { image, env: { TOPOLOGY: topology, GRAFANA: 'off' } })
    const entry = topology === 'direct' ? 'http://127.0.0.1:10000' : 'http://127.0.0.1'
    const answers = (path: string) => () => container.http(`${entry}${path}`).status === 200
    await until('health', answers('/health'), 60_000)
    const healthMs = performance.now() - from
    await until('ready', answers('/readyz'), 60_000)
    const readyMs = performance.now() - from
    await new Promise((resolve) => setTimeout(resolve, settleMs))
    const memory = memoryOf(container)
    const { ms } = await container.stop()
    return { topology, healthMs, readyMs, stopMs: ms, memory }
  } finally {
    for (const ending of endings) await ending()
  }
}
