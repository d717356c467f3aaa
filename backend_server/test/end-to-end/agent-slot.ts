import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { programEnv } from '../program-env.ts'
import { until } from '../until.ts'

const agentMain = fileURLToPath(new URL('../../../backend_host/src/main.ts', import.meta.url))

export interface AgentSlot {
  readonly hostName: string
  start: () => void
  /** With SIGKILL. What it had started must end by itself, and is waited for. */
  kill: () => Promise<void>
  /** Process ids of its children whose command line fits. */
  children: (commandLine: RegExp) => number[]
  output: () => string
}

/** The real agent as a process that can be killed and started again on the same folder. */
export async function openAgentSlot(
  t: TestContext,
  { hostName, serverUrl, env }: { hostName: string; serverUrl: string; env: Record<string, string> },
): Promise<AgentSlot> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'vpt-agent-'))
  let child: ChildProcess | undefined
  let output = ''
  const children = (commandLine: RegExp): number[] => {
    const { stdout } = spawnSync('ps', ['-ww', '-o', 'pid=,args=', '--ppid', String(child?.pid ?? 0)], { encoding: 'utf8' })
    return stdout.split('\n').flatMap((line) => {
      const [, pid, args = ''] = /^\s*(\d+) (.*)$/.exec(line) ?? []
      return pid !== undefined && commandLine.test(args) ? [Number(pid)] : []
    })
  }
  const kill = async (): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const left = children(/./)
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    await until(`what ${hostName} had started ends with it`, () => left.every((pid) => !isAlive(pid)))
  }
  t.after(async () => {
    await kill()
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 })
  })
  return {
    hostName,
    children,
    kill,
    output: () => output,
    start() {
      child = spawn(process.execPath, ['-C', 'source', agentMain], {
        env: {
          ...programEnv(),
          SERVER_URL: serverUrl,
          HOST_NAME: hostName,
          HOST_PORT: '0',
          DATA_DIR: dataDir,
          ...env,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      child.stdout?.on('data', (chunk) => (output += String(chunk)))
      child.stderr?.on('data', (chunk) => (output += String(chunk)))
    },
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
