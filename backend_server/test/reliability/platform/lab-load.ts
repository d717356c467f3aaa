import { setTimeout as pause } from 'node:timers/promises'
import { FakeHost } from '../../fakes/fake-host.ts'
import type { Chance } from '../form.ts'

/*
 * Everything a busy lab does at once, through one address: screens that read, people who take and give back devices, hosts
 * that beat and deliver, and runs that are submitted, half of them into a queue.
 */

export interface Failure {
  at: number
  what: string
  status: number | string
}

export interface LabLoad {
  hosts: readonly FakeHost[]
  /** Ids of the runs whose submit was answered. */
  runs: string[]
  failures: Failure[]
  requests: () => number
  /** Lets everything that is under way end. */
  stop: () => Promise<void>
}

export interface LoadOptions {
  url: string
  /** Where the hosts listen. */
  address: string
  hosts: number
  readers: number
  chance: Chance
}

const reads = [
  '/server/system/getAllHosts',
  '/server/runs',
  '/server/control/lockedDevices',
  '/server/leases',
  '/health',
  '/readyz',
]

export async function startLabLoad(t: { after: (work: () => Promise<void>) => void }, options: LoadOptions): Promise<LabLoad> {
  const { url, chance } = options
  const hosts: FakeHost[] = []
  const failures: Failure[] = []
  const runs: string[] = []
  let requests = 0
  let isOver = false
  t.after(async () => {
    isOver = true
    await Promise.all(hosts.map((host) => host.kill()))
  })

  function judge(what: string, status: number | string, isExpected: boolean): void {
    requests += 1
    if (!isExpected) failures.push({ at: Date.now(), what, status })
  }

  async function ask(path: string, body?: object, headers: Record<string, string> = {}): Promise<Record<string, unknown>> {
    try {
      const response = await fetch(`${url}${path}`, {
        ...(body && { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(30_000),
      })
      const answer = (await response.json()) as Record<string, unknown>
      judge(path, response.status, response.status === 200 || response.status === 202)
      return answer
    } catch (error) {
      judge(path, causeOf(error), false)
      return {}
    }
  }

  for (let index = 1; index <= options.hosts; index += 1) {
    const host = new FakeHost({
      name: `lab-${index}`,
      serverUrl: () => url,
      devices: 2,
      beatMs: 1000,
      runMs: () => chance.between(300, 4000),
      address: options.address,
      onPost: (path, status) => judge(`host ${path}`, status, status === 200),
    })
    hosts.push(await host.start())
  }

  async function readAllTheTime(): Promise<void> {
    while (!isOver) {
      await ask(chance.pick(reads) ?? '/health')
      await pause(chance.between(5, 40))
    }
  }
  /** Two runs at once for one device: the second waits in the queue, and any server may give it the device. */
  async function submitAllTheTime(host: FakeHost): Promise<void> {
    while (!isOver) {
      const own: string[] = []
      for (let index = 0; index < 2; index += 1) {
        const body = { host_name: host.options.name, device_id: 'device1', script_name: 'demo', queue: true }
        const answer = await ask('/server/script/execute', body, { 'idempotency-key': crypto.randomUUID() })
        if (typeof answer.run_id === 'string') own.push(answer.run_id)
      }
      runs.push(...own)
      for (const id of own)
        while (!isFinal((await ask(`/server/runs/${id}`)).run)) {
          if (isOver) return
          await pause(chance.between(50, 150))
        }
    }
  }
  async function takeAllTheTime(host: FakeHost, user: string): Promise<void> {
    while (!isOver) {
      const body = { host_name: host.options.name, device_id: 'device2', user_id: user }
      await ask('/server/control/takeControl', body)
      await pause(chance.between(100, 500))
      await ask('/server/control/releaseControl', body)
    }
  }
  const actors = [
    ...Array.from({ length: options.readers }, readAllTheTime),
    ...hosts.map(submitAllTheTime),
    ...hosts.slice(0, 2).map((host, index) => takeAllTheTime(host, `user-${index}`)),
  ]
  return {
    hosts,
    runs,
    failures,
    requests: () => requests,
    async stop() {
      isOver = true
      await Promise.all(actors)
      const deadline = Date.now() + 60_000
      for (const id of runs)
        while (!isFinal((await ask(`/server/runs/${id}`)).run)) {
          if (Date.now() > deadline) return
          await pause(100)
        }
    },
  }
}

const isFinal = (run: unknown): boolean =>
  ['passed', 'failed', 'error', 'cancelled'].includes(String((run as { status?: string } | undefined)?.status))

const causeOf = (error: unknown): string => {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause)
}
