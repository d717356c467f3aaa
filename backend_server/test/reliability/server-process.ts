import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { programEnv } from '../program-env.ts'
import { appendTestLog } from '../test-log.ts'
import { patienceMs, until } from '../until.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface ServerProcess {
  child: ChildProcess
  /** Parsed log lines so far. */
  lines: { msg?: string; level?: number }[]
  /** Resolves with the exit status, null after a signal. */
  ended: Promise<number | null>
}

export interface ServerSlot {
  url: string
  /** The process of the latest start. */
  current: () => ServerProcess
  /** Starts the server on the slot's port. It listens some hundred milliseconds later, and is ready after that. */
  start: () => ServerProcess
  waitUntilReady: (timeoutMs?: number) => Promise<void>
}

/**
 * The server as the process that operators start, on one port and one database over all its lives. Whatever still lives at
 * the end of the test is killed.
 */
export async function openServerSlot(
  t: TestContext,
  options: { databaseUrl: () => string; env?: Record<string, string> },
): Promise<ServerSlot> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'vpt-server-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const processes: ServerProcess[] = []
  t.after(async () => {
    for (const { child, ended } of processes) {
      child.kill('SIGKILL')
      await ended
    }
    await rm(dataDir, { recursive: true, force: true })
  })

  const current = (): ServerProcess => {
    const latest = processes.at(-1)
    if (!latest) throw new Error('the server was never started')
    return latest
  }
  return {
    url,
    current,
    start() {
      const child = spawn(process.execPath, ['-C', 'source', main], {
        env: {
          ...programEnv(),
          SERVER_PORT: String(port),
          DATA_DIR: dataDir,
          DATABASE_URL: options.databaseUrl(),
          SERVER_NAME: 'test',
          ...options.env,
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const started: ServerProcess = { child, lines: [], ended: once(child, 'exit').then(() => child.exitCode) }
      createInterface({ input: child.stdout }).on('line', (line) => {
        started.lines.push(parseLine(line))
        appendTestLog(`${line}\n`)
      })
      processes.push(started)
      return started
    },
    async waitUntilReady(timeoutMs = patienceMs) {
      const { child } = current()
      await until(
        'the server is ready',
        async () => {
          if (child.exitCode !== null || child.signalCode !== null)
            throw new Error(`the server ended with ${child.exitCode ?? child.signalCode}`)
          return (await fetch(`${url}/readyz`).catch(() => undefined))?.status === 200
        },
        timeoutMs,
      )
    },
  }
}

function parseLine(line: string): { msg?: string } {
  try {
    return JSON.parse(line) as { msg?: string }
  } catch {
    return { msg: line }
  }
}

/** The server must come back on the same port, so a free one is taken once and kept by its own restarts. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
