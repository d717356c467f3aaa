import { setTimeout as pause } from 'node:timers/promises'
import { startContainer } from '../../backend_server/test/container/container.ts'
import { programsOf, type ResidentMemory, residentMemory } from '../../backend_server/test/container/resident-memory.ts'
import { openDatabaseTap } from '../../backend_server/test/reliability/platform/database-tap.ts'
import { openNetwork } from '../../backend_server/test/reliability/platform/network.ts'
import { loadedPackages, programsBelow, startReference } from './reference.ts'

/*
 * One start of each kind: how long until `/health` answers 200, and what is resident after a while of rest.
 */

export type Kind = 'direct' | 'nginx' | 'flask' | 'loaded'

export interface Start {
  healthMs: number
  memory: ResidentMemory
}

const settleMs = 10_000
const startLimitMs = 60_000

export async function measureStart(kind: Kind, databaseUrl: string): Promise<Start> {
  const endings: (() => unknown)[] = []
  const after = (ending?: unknown): void => {
    if (typeof ending === 'function') endings.push(ending as () => unknown)
  }
  try {
    const network = openNetwork({ after })
    const seen = new URL(databaseUrl)
    const tap = await openDatabaseTap({ after }, { listenOn: network.address, database: seen })
    seen.hostname = network.address
    seen.port = String(tap.port)
    const from = performance.now()
    const { pid, programs } = await start(kind, seen.href, after)
    const address = network.join(pid)
    const port = kind === 'nginx' ? 80 : 10_000
    await untilHealthy(`http://${address}:${port}/health`)
    const healthMs = performance.now() - from
    await pause(settleMs)
    return { healthMs, memory: residentMemory({ pid, programs: programs() }) }
  } finally {
    // What came last ends first: the container before its network.
    for (const ending of endings.toReversed()) await ending()
  }
}

async function start(
  kind: Kind,
  databaseUrl: string,
  after: (ending: () => Promise<unknown>) => void,
): Promise<{ pid: number; programs: () => ReadonlyMap<number, string> }> {
  if (kind === 'flask' || kind === 'loaded') {
    const reference = await startReference(kind === 'loaded' ? loadedPackages : [])
    after(reference.stop)
    return { pid: reference.pid, programs: () => programsBelow(reference.pid) }
  }
  const env = { TOPOLOGY: kind, AUTH_MODE: 'open', GRAFANA: 'off', DATABASE_URL: databaseUrl }
  const hook = (ending?: unknown): void => after(ending as () => Promise<unknown>)
  const container = await startContainer({ after: hook }, { env })
  return { pid: container.pid, programs: () => programsOf(container) }
}

async function untilHealthy(url: string): Promise<void> {
  const deadline = Date.now() + startLimitMs
  for (;;) {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
    await response?.arrayBuffer()
    if (response?.status === 200) return
    if (Date.now() > deadline) throw new Error(`${url} did not become healthy`)
    await pause(5)
  }
}
