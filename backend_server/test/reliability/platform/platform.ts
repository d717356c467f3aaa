import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type Container, startContainer } from '../../container/container.ts'
import { type DatabaseTap, openDatabaseTap } from './database-tap.ts'
import { type LoadBalancer, startLoadBalancer } from './load-balancer.ts'
import type { Network } from './network.ts'

/*
 * Deploys as Render makes them: the new container beside the old one, health checks of at most 5 s each until one passes, the
 * switch, TERM for the old one a while later, KILL 30 s after that.
 */

export interface Instance {
  name: string
  container: Container
  /** Host and port, as the load balancer sees it. */
  address: string
  tap: DatabaseTap
}

export interface Deploy {
  from: Instance
  to: Instance
  /** Start of the new container to its first passed check. */
  healthyMs: number
  /** Both lived for this long before the old one was told to stop. */
  overlapMs: number
  stopMs: number
  stopStatus: number
  killed: boolean
}

export interface Platform {
  url: string
  instances: readonly Instance[]
  current: () => Instance
  deploy: (overlapMs: number) => Promise<Deploy>
  complaints: () => string[]
}

const checkLimitMs = 5000
const checkEveryMs = 20
const killAfterMs = 30_000
const startLimitMs = 60_000

export interface PlatformOptions {
  network: Network
  databaseUrl: string
  env: Record<string, string>
}

export async function startPlatform(t: Pick<TestContext, 'after'>, options: PlatformOptions): Promise<Platform> {
  const instances: Instance[] = []
  const current = (): Instance => {
    const latest = instances.at(-1)
    if (!latest) throw new Error('nothing was deployed')
    return latest
  }

  async function startInstance(): Promise<{ instance: Instance; healthyMs: number }> {
    const { network, databaseUrl } = options
    const tap = await openDatabaseTap(t, { listenOn: network.address, database: new URL(databaseUrl) })
    const url = new URL(databaseUrl)
    url.hostname = network.address
    url.port = String(tap.port)
    const name = `instance-${instances.length + 1}`
    url.searchParams.set('application_name', name)
    const from = performance.now()
    const container = await startContainer(t, { env: { ...options.env, DATABASE_URL: url.href } })
    const instance = { name, container, tap, address: `${network.join(container.pid)}:10000` }
    await untilPassed(instance)
    instances.push(instance)
    return { instance, healthyMs: performance.now() - from }
  }

  const { instance: first } = await startInstance()
  const balancer: LoadBalancer = await startLoadBalancer(t, first.address)
  return {
    url: balancer.url,
    instances,
    current,
    complaints: balancer.complaints,
    async deploy(overlapMs) {
      const from = current()
      const { instance: to, healthyMs } = await startInstance()
      await balancer.switchTo(to.address)
      await pause(overlapMs)
      let killed = false
      const timer = setTimeout(() => {
        killed = true
        from.container.signal('SIGKILL')
      }, killAfterMs)
      const { ms, status } = await from.container.stop('SIGTERM')
      clearTimeout(timer)
      return { from, to, healthyMs, overlapMs, stopMs: ms, stopStatus: status, killed }
    },
  }
}

/** Any status of 2xx or 3xx passes, as on the platform; what it says about itself does not count. */
async function untilPassed({ name, address, container }: Instance): Promise<void> {
  const deadline = Date.now() + startLimitMs
  for (;;) {
    const answer = await fetch(`http://${address}/health`, {
      signal: AbortSignal.timeout(checkLimitMs),
      redirect: 'manual',
    }).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer && answer.status >= 200 && answer.status < 400) return
    if (Date.now() > deadline) throw new Error(`${name} did not become healthy:\n${container.output().slice(-4000)}`)
    await pause(checkEveryMs)
  }
}
