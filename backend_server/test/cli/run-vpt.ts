import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { programEnv } from '../program-env.ts'

const vptFile = path.resolve(import.meta.dirname, '../../src/cli/vpt.ts')

export interface Vpt {
  readonly child: ChildProcess
  stdout(): string
  stderr(): string
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>
}

/** The real command as a process, in an environment of its own: nothing of the terminal that runs the tests reaches it. */
export function startVpt(t: TestContext, args: readonly string[], env: Record<string, string> = {}): Vpt {
  const child = spawn(process.execPath, ['-C', 'source', vptFile, ...args], {
    env: { ...programEnv(), HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, stdout: () => stdout, stderr: () => stderr, ended }
}

export interface VptResult {
  code: number | null
  stdout: string
  stderr: string
}

export async function vpt(t: TestContext, args: readonly string[], env: Record<string, string> = {}): Promise<VptResult> {
  const started = startVpt(t, args, env)
  const code = await started.ended
  return { code, stdout: started.stdout(), stderr: started.stderr() }
}
