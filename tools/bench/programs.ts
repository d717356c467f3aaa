import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'

export interface Program {
  url: string
  /** From the start of the process to the first 200 of /health. */
  startMs: number
  memoryMb: () => number
  /** Ends the connection after each answer. */
  closesConnections?: boolean
  stop: () => Promise<void>
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts a program and waits until a path answers; fails with its output when it does not within 30 s. */
export async function startProgram(
  command: readonly string[],
  env: Record<string, string>,
  port: number,
  probe = '/health',
): Promise<Program> {
  const started = performance.now()
  const [program = '', ...args] = command
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const url = `http://127.0.0.1:${port}`
  for (;;) {
    const answer = await fetch(`${url}${probe}`).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer && answer.status < 500) break
    if (child.exitCode !== null || performance.now() - started > 30_000) {
      child.kill('SIGKILL')
      throw new Error(`${command.join(' ')} did not start:\n${output}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { url, startMs: performance.now() - started, memoryMb: () => residentMb(child), stop: () => stop(child) }
}

function residentMb(child: ChildProcess): number {
  const text = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await ended
  clearTimeout(timer)
}

/** A Python that has Flask, or undefined: the bench then says what is missing. */
export const findFlaskPython = (): string | undefined =>
  ['/usr/bin/python3', 'python3'].find((python) => spawnSync(python, ['-c', 'import flask']).status === 0)
