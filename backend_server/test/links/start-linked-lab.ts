import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { programEnv } from '../program-env.ts'

const agentMain = fileURLToPath(new URL('../../../backend_host/src/main.ts', import.meta.url))

export interface AgentProgram {
  child: ChildProcess
  dataDir: string
  output: () => string
  kill: (signal: NodeJS.Signals) => Promise<void>
}

/** The real agent as a process of its own, with one simulated box, whose URL nobody can reach. */
export async function startLinkedAgent(
  t: TestContext,
  options: { serverUrl: string; name?: string; dataDir?: string; env?: Record<string, string> },
): Promise<AgentProgram> {
  const dataDir = options.dataDir ?? (await mkdtemp(path.join(tmpdir(), 'vpt-linked-')))
  const child = spawn(process.execPath, ['-C', 'source', agentMain], {
    env: {
      ...programEnv(),
      SERVER_URL: options.serverUrl,
      HOST_NAME: options.name ?? 'nat-1',
      HOST_PORT: '0',
      // Port 1 of this machine: whoever calls it is refused at once.
      HOST_URL: 'http://127.0.0.1:1',
      LINK: 'on',
      DATA_DIR: dataDir,
      DEVICE1_NAME: 'Box 1',
      DEVICE1_MODEL: 'stb',
      DEVICE1_DRIVER: 'sim',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => (output += String(chunk)))
  child.stderr.on('data', (chunk) => (output += String(chunk)))
  const exited = once(child, 'exit')
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal)
    await exited
  }
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      await Promise.race([exited, pause(5000)])
      child.kill('SIGKILL')
    }
    await rm(dataDir, { recursive: true, force: true, maxRetries: 3 })
  })
  return { child, dataDir, output: () => output, kill }
}
