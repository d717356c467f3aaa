import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { startContainer } from '../../backend_server/test/container/container.ts'
import { programsOf, type ResidentMemory, residentMemory } from '../../backend_server/test/container/resident-memory.ts'
import { openDatabaseTap } from '../../backend_server/test/reliability/platform/database-tap.ts'
import { type Network, openNetwork } from '../../backend_server/test/reliability/platform/network.ts'
import { until } from '../../backend_server/test/until.ts'
import { loadedPackages, programsBelow, startReference } from './reference.ts'

/*
 * One start of each kind: how long until `/health` answers 200, and what is resident after a while of rest.
 */

export type Kind = 'direct' | 'nginx' | 'flask' | 'loaded'

export interface Start {
  healthMs: number
  /** Processor time of all its processes until then; less disturbed by what else the machine does. */
  cpuMs: number
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
    const tap = await openDatabaseTap({ after }, { listenOn: network.address, database: new URL(databaseUrl) })
    const seen = new URL(databaseUrl)
    seen.hostname = network.address
    seen.port = String(tap.port)
    const lines = await layLines(network, after)
    const from = performance.now()
    const { pid, programs } = await start(kind, seen.href, lines.pid, after)
    const port = kind === 'nginx' ? 80 : 10_000
    await untilHealthy(`http://${lines.address}:${port}/health`)
    const healthMs = performance.now() - from
    const cpuMs = processorTimeMs(pid)
    await pause(settleMs)
    return { healthMs, cpuMs, memory: residentMemory({ pid, programs: programs() }) }
  } finally {
    // What came last ends first: the container before its network.
    for (const ending of endings.toReversed()) await ending()
  }
}

/**
 * The network of the container, ready before it starts, as on a platform. Linux switches a new line on with a delay of up to a
 * second, which would count for a container that asks its database at once, and not for one that asks nobody.
 */
async function layLines(network: Network, after: (ending: () => unknown) => void): Promise<{ pid: number; address: string }> {
  const holder = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' })
  after(() => holder.kill('SIGKILL'))
  const pid = await until('there is a network', () => {
    const own = holder.pid
    return own !== undefined && readlinkSync(`/proc/${own}/ns/net`) !== readlinkSync('/proc/self/ns/net') ? own : undefined
  })
  const address = network.join(pid)
  const shown = (): string => spawnSync('nsenter', ['-t', String(pid), '-n', 'ip', '-o', 'link'], { encoding: 'utf8' }).stdout
  await until('its line is up', () => / state UP /.test(shown()))
  return { pid, address }
}

async function start(
  kind: Kind,
  databaseUrl: string,
  networkOf: number,
  after: (ending: () => Promise<unknown>) => void,
): Promise<{ pid: number; programs: () => ReadonlyMap<number, string> }> {
  if (kind === 'flask' || kind === 'loaded') {
    const reference = await startReference(kind === 'loaded' ? loadedPackages : [], networkOf)
    after(reference.stop)
    return { pid: reference.pid, programs: () => programsBelow(reference.pid) }
  }
  const env = { TOPOLOGY: kind, AUTH_MODE: 'open', GRAFANA: 'off', DATABASE_URL: databaseUrl }
  const hook = (ending?: unknown): void => after(ending as () => Promise<unknown>)
  const container = await startContainer({ after: hook }, { env, networkOf })
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

const tickMs = 10

/** Of a process, all below it, and those that have ended. */
function processorTimeMs(pid: number): number {
  const folder = `/proc/${pid}`
  if (!existsSync(folder)) return 0
  const children = readFileSync(`${folder}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  // After the name: state is field 3, and 14 to 17 are the times of the process and of children it has waited for.
  const fields = readFileSync(`${folder}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  const own = fields.slice(11, 15).reduce((sum, one) => sum + Number(one), 0) * tickMs
  return children.reduce((sum, child) => sum + processorTimeMs(Number(child)), own)
}
