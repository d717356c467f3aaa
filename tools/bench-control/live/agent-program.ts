import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

const main = path.resolve(import.meta.dirname, '../../../backend_host/src/main.ts')

export interface AgentProgram {
  hostName: string
  pid: number
  /** Processor time of the agent and everything it has started, in seconds. */
  cpuSeconds(): number
  stop(): Promise<void>
}

/** The real agent as a process of its own, known to the server by its URL alone or by its link alone. */
export async function startAgent(
  serverUrl: string,
  { hostName, way, boxes, browser }: { hostName: string; way: 'url' | 'link'; boxes: number; browser: boolean },
): Promise<AgentProgram> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'vpt-bench-agent-'))
  const devices = Array.from({ length: boxes }, (_, index) => [
    [`DEVICE${index + 1}_NAME`, `Box ${index + 1}`],
    [`DEVICE${index + 1}_MODEL`, 'stb'],
    [`DEVICE${index + 1}_DRIVER`, 'sim'],
  ]).flat()
  const child = spawn(process.execPath, ['-C', 'source', main], {
    env: {
      PATH: process.env.PATH,
      SERVER_URL: serverUrl,
      HOST_NAME: hostName,
      HOST_PORT: '0',
      LINK: way === 'link' ? 'on' : 'off',
      // Nobody listens there: what arrives came over the link.
      ...(way === 'link' && { HOST_URL: 'http://127.0.0.1:1' }),
      ...(browser && { HOST_MODEL: 'web' }),
      DATA_DIR: dataDir,
      LOG_LEVEL: 'warn',
      ...Object.fromEntries(devices),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const pid = child.pid ?? 0
  await registered(serverUrl, hostName, child)
  return {
    hostName,
    pid,
    cpuSeconds: () => cpuSecondsOf(pid),
    async stop() {
      const exited = new Promise((resolve) => child.once('exit', resolve))
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 25_000)
      await exited
      clearTimeout(late)
      rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

async function registered(serverUrl: string, hostName: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + 30_000
  for (;;) {
    const answer = await fetch(`${serverUrl}/server/hosts/${hostName}/stream/capture1/captures/none.jpg`).catch(() => null)
    // The host itself says that it has no such file: it is there, whichever way the question took.
    const { code } = ((await answer?.json().catch(() => null)) ?? {}) as { code?: string }
    if (code === 'not_found') return
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`${hostName} did not come: ${code ?? 'no answer'}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** The process and its descendants, with the time of those that have ended. */
export function cpuSecondsOf(root: number): number {
  const parents = new Map<number, { parent: number; ticks: number }>()
  for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      const fields = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number)
      const ticks = (fields[11] ?? 0) + (fields[12] ?? 0) + (fields[13] ?? 0) + (fields[14] ?? 0)
      parents.set(Number(name), { parent: fields[1] ?? 0, ticks })
    } catch {
      // It ended meanwhile.
    }
  }
  const isBelow = (pid: number): boolean => pid === root || (parents.has(pid) && isBelow(parents.get(pid)?.parent ?? 0))
  return [...parents].reduce((sum, [pid, { ticks }]) => sum + (isBelow(pid) ? ticks : 0), 0) / 100
}
