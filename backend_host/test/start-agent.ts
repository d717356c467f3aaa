import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { defaultTeamId, type RunOrder } from '@virtualpytest/shared'
import { type Agent, type AgentOptions, buildAgent } from '../src/app.ts'
import { type DeviceConfig, readConfig } from '../src/config.ts'
import type { Driver } from '../src/drivers/index.ts'
import { processTags } from '../src/features/runs/live-run.ts'
import { endProcesses, startTimeOf } from '../src/process/processes.ts'
import { createFakeDriver, type FakeDriver } from './fakes/fake-driver.ts'
import { type FakeServer, startFakeServer } from './fakes/fake-server.ts'

export const hostName = 'test-host'
const nodeArgs = ['-C', 'source']

export interface Lab {
  server: FakeServer
  dataDir: string
  scriptsDir: string
  /** What the agent logged, as text. */
  logText: () => string
  script(name: string, source: string, mode?: number): Promise<void>
  order(scriptName: string, more?: Partial<RunOrder>): RunOrder
}
export interface LabWithAgent extends Lab {
  agent: Agent
  url: string
  drivers: Record<string, FakeDriver>
}

/** A fake server with folders for one agent; everything is gone after the test. */
export async function startLab(t: TestContext): Promise<Lab & { log: string[] }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-host-'))
  const scriptsDir = path.join(folder, 'scripts')
  await mkdir(scriptsDir)
  const server = await startFakeServer()
  const log: string[] = []
  t.after(async () => {
    await server.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  })
  return {
    server,
    log,
    dataDir: path.join(folder, 'data'),
    scriptsDir,
    logText: () => log.join(''),
    async script(name, source, mode = 0o644) {
      const file = path.join(scriptsDir, name)
      await mkdir(path.dirname(file), { recursive: true })
      await writeFile(file, source)
      await chmod(file, mode)
    },
    order: (script_name, more) => makeOrder(script_name, more),
  }
}

export function makeOrder(script_name: string, more: Partial<RunOrder> = {}): RunOrder {
  const id = randomUUID()
  return {
    task_id: id,
    run_id: id,
    host_name: hostName,
    device_id: 'device1',
    script_name,
    parameters: '',
    team_id: defaultTeamId,
    token: 1,
    deadline_at: new Date(Date.now() + 600_000).toISOString(),
    ...more,
  }
}

/** An agent inside the test process with two devices, fake ones unless others are given, registered at the fake server. */
export async function startLabWithAgent(
  t: TestContext,
  env: Record<string, string> = {},
  makeDriver?: (device: DeviceConfig) => Driver,
  options: Pick<AgentOptions, 'faultDelays' | 'viewerStuckMs'> = {},
): Promise<LabWithAgent> {
  const lab = await startLab(t)
  const drivers: Record<string, FakeDriver> = {}
  const agent = await buildAgent({
    config: readConfig({ ...process.env, ...agentEnv(lab), ...env }),
    node: { execPath: process.execPath, args: nodeArgs },
    createDriver(device) {
      if (makeDriver) return makeDriver(device)
      const driver = createFakeDriver(device.model === 'web' ? { av: null, remote: null, web: 'playwright' } : {})
      drivers[device.deviceId] = driver
      return driver
    },
    beatSeconds: 1,
    ...options,
    logStream: { write: (line) => lab.log.push(line) },
  })
  t.after(() => agent.close())
  const url = await agent.start()
  await until('the agent is registered and has beaten', () => lab.server.registrations.length > 0 && lab.server.pings.length > 0)
  return { ...lab, agent, url, drivers }
}

export interface AgentProcess {
  child: ChildProcess
  output: () => string
  kill(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** An agent as a process of its own, started like `npm run host`, with two simulated boxes. */
export async function startAgentProcess(t: TestContext, lab: Lab, env: Record<string, string> = {}): Promise<AgentProcess> {
  const main = path.resolve(import.meta.dirname, '../src/main.ts')
  const registered = lab.server.registrations.length
  const { PATH, NODE_COMPILE_CACHE } = process.env
  const child = spawn(process.execPath, [...nodeArgs, main], {
    env: { PATH, NODE_COMPILE_CACHE, ...agentEnv(lab), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  let output = ''
  child.stdout.on('data', (chunk) => (output += String(chunk)))
  child.stderr.on('data', (chunk) => (output += String(chunk)))
  const kill = async (signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }> => {
    child.kill(signal)
    const [code, by] = await exited
    return { code, signal: by }
  }
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) await kill('SIGKILL')
    // Scripts outlive a killed agent; nothing may outlive the test.
    for (const { order } of lab.server.runs.values()) await endProcesses({ groupId: undefined, tags: processTags(order) }, 0)
  })
  await until('the agent process has registered', () => {
    if (child.exitCode !== null) throw new Error(`the agent ended:\n${output}`)
    return lab.server.registrations.length > registered
  })
  return { child, output: () => output, kill }
}

export function agentEnv(lab: Lab): Record<string, string> {
  return {
    SERVER_URL: lab.server.url,
    HOST_NAME: hostName,
    HOST_PORT: '0',
    DATA_DIR: lab.dataDir,
    TEST_SCRIPTS_DIR: lab.scriptsDir,
    LOG_LEVEL: 'debug',
    DEVICE1_NAME: 'Box 1',
    DEVICE1_MODEL: 'stb',
    DEVICE1_DRIVER: 'sim',
    DEVICE2_NAME: 'Box 2',
    DEVICE2_MODEL: 'stb',
    DEVICE2_DRIVER: 'sim',
  }
}

/** Waits for a fact with a deadline; says which one was waited for. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>, timeoutMs = 120_000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await pause(20)
  }
}

/** True while a process with this id exists and is not a zombie. */
export const isAlive = (pid: number): boolean => startTimeOf(pid) !== undefined

/** A condition that is true when so many more beats have come than now. */
export function beats(lab: Lab, more: number): () => boolean {
  const wanted = lab.server.pings.length + more
  return () => lab.server.pings.length >= wanted
}
