// T22, promise N9, lesson R5: the container runs in 512 MB without Grafana, with 100 hosts and 20 viewers.
// Limits: a memory control group of 512 MB around the whole container, process 1 included.
// Judge: the kernel's counter of kills, and the resident memory of all processes of the container with each page counted once
// (resident-memory.ts says why not RSS or PSS). Steady: from one minute after the load began. 3 min each (TEST_SECONDS), once
// with an external PostgreSQL and once with the embedded one, which is counted then. Needs root.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { cannotStartContainers, startContainer, untilHealthy } from '../container/container.ts'
import { cannotLimitMemory, memoryGroup } from '../container/memory-group.ts'
import { programsOf, type ResidentMemory, residentMemory, showMemory } from '../container/resident-memory.ts'
import { untilRunning } from '../container/watched-programs.ts'
import { FakeHost } from '../fakes/fake-host.ts'
import { createTestDatabase } from '../test-db.ts'
import { figure, percentile, sizeOf } from './form.ts'
import { openDatabaseTap } from './platform/database-tap.ts'
import { type EventReader, readBySocket } from './platform/event-readers.ts'
import { type Network, openNetwork } from './platform/network.ts'

const skip = cannotStartContainers() || cannotLimitMemory()
const limitMb = 512
const promisedMb = 200
const apiMb = 100
const hostCount = 100
const viewerCount = 20
const warmUpMs = 60_000
const sampleMs = 5000

test('T22, N9, R5: 512 MB are enough beside an external database', { skip }, async (t) => {
  const network = openNetwork(t)
  const { url } = await createTestDatabase(t)
  const tap = await openDatabaseTap(t, { listenOn: network.address, database: new URL(url) })
  const seen = new URL(url)
  seen.hostname = network.address
  seen.port = String(tap.port)
  await runUnderLimit(t, 'external', network, { DATABASE_URL: seen.href })
})

test('T22, N9, R5: 512 MB are enough with the embedded database', { skip }, async (t) => {
  await runUnderLimit(t, 'embedded', openNetwork(t), {})
})

async function runUnderLimit(t: TestContext, name: string, network: Network, env: Record<string, string>): Promise<void> {
  const durationMs = sizeOf('TEST_SECONDS', 180) * 1000
  const group = memoryGroup(name, limitMb)
  const container = await startContainer(t, {
    env: { AUTH_MODE: 'open', GRAFANA: 'off', SERVER_NAME: 'lab', ...env },
    memoryGroup: group,
  })
  const url = `http://${network.join(container.pid)}:10000`
  await untilHealthy(container)
  await untilRunning(container, name === 'embedded' ? ['api', 'postgres'] : ['api'])
  const programs = programsOf(container)
  const take = (): ResidentMemory => residentMemory({ pid: container.pid, programs })
  await pause(10_000)
  const idle = take()

  const hosts: FakeHost[] = []
  const readers: EventReader[] = []
  let isOver = false
  t.after(async () => {
    isOver = true
    for (const reader of readers) reader.stop()
    await Promise.all(hosts.map((host) => host.kill()))
  })
  let failed = 0
  let answers = 0
  const count = (status: number): void => {
    answers += 1
    if (status !== 200) failed += 1
  }
  for (let index = 1; index <= hostCount; index += 1) {
    const options = { name: `lab-${index}`, serverUrl: () => url, address: network.address, devices: 4, runMs: () => 3000 }
    hosts.push(await new FakeHost({ ...options, onPost: (_, status) => count(status) }).start())
  }
  for (let index = 1; index <= viewerCount; index += 1) readers.push(readBySocket(`viewer ${index}`, url, 0))
  const ask = async (path: string, body?: object): Promise<void> => {
    const response = await fetch(`${url}${path}`, {
      ...(body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    }).catch(() => undefined)
    await response?.arrayBuffer()
    count(response?.status === 202 ? 200 : (response?.status ?? 0))
  }
  const view = async (index: number): Promise<void> => {
    await pause(index * 250)
    while (!isOver) {
      await ask('/server/system/getAllHosts')
      await pause(5000)
    }
  }
  const run = async (): Promise<void> => {
    for (let next = 0; !isOver; next += 1) {
      const host_name = `lab-${(next % hostCount) + 1}`
      await ask('/server/script/execute', { host_name, device_id: 'device1', script_name: 'demo', queue: true })
      await pause(1000)
    }
  }
  const actors = [...Array.from({ length: viewerCount }, (_, index) => view(index)), run()]

  const samples: ResidentMemory[] = []
  await pause(Math.min(warmUpMs, durationMs / 3))
  const from = performance.now()
  while (performance.now() - from < durationMs - Math.min(warmUpMs, durationMs / 3)) {
    samples.push(take())
    await pause(sampleMs)
  }
  isOver = true
  await Promise.all(actors)

  const of = (pick: (one: ResidentMemory) => number): number[] => samples.map(pick)
  const middle = (values: number[]): number => Math.round(percentile(values, 0.5))
  const most = (values: number[]): number => Math.round(Math.max(...values))
  const total = of(({ onceMb }) => onceMb)
  const api = of((one) => one.programs.api?.rssMb ?? 0)
  const last = samples.at(-1) ?? idle
  figure(
    t,
    'T22',
    `${name} database, ${hostCount} hosts, ${viewerCount} viewers, ${durationMs / 1000} s in ${limitMb} MB: ` +
      `idle ${Math.round(idle.onceMb)} MB, steady ${middle(total)} MB (most ${most(total)}) of ${promisedMb}, ${group.kills()} killed; ` +
      `API RSS idle ${Math.round(idle.programs.api?.rssMb ?? 0)}, steady ${middle(api)}; anonymous memory of the group ${Math.round(group.anonymousMb())} MB, ` +
      `peak with file pages ${Math.round(group.peakMb())} MB; at the end ${showMemory(last)}; ${answers} answers, ${failed} failed`,
  )
  assert.equal(group.kills(), 0)
  assert.equal(failed, 0)
  assert.ok(idle.onceMb <= promisedMb, `idle takes ${idle.onceMb} MB, promised are ${promisedMb}`)
  assert.ok(Math.round(idle.programs.api?.rssMb ?? 0) <= apiMb, `the idle API has ${idle.programs.api?.rssMb} MB`)
  for (const { refusals, connections } of readers) assert.deepEqual([refusals, connections], [[], 1])
  assert.ok(middle(total) <= promisedMb, `${middle(total)} MB under load, promised are ${promisedMb}`)
}
