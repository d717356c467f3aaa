import { spawnSync } from 'node:child_process'
import path from 'node:path'

/** Runs a program and returns what it printed; throws with its last lines when it fails. */
export function run(command: string, args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): string {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  })
  if (result.status === 0) return result.stdout
  const why = result.error?.message ?? `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-25).join('\n')
  throw new Error(`${command} ${args[0] ?? ''} failed: ${why}`)
}

/** buildah with its storage in our own folder: what it makes is gone when the folder is. */
export const buildah = (work: string, ...args: string[]): string =>
  run('buildah', ['--root', path.join(work, 'storage'), '--runroot', path.join(work, 'run'), '--storage-driver', 'vfs', ...args])
