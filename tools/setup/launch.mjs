// Starts a program of the checkout in place of the setup.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'

/** The environment of every program that npm scripts start: our tools and, if it was installed here, our Node first in PATH. */
export function programEnvironment(root, node) {
  const folders = [join(root, 'node_modules', '.bin')]
  if (node.ours) folders.unshift(dirname(node.path))
  const rest = (process.env.PATH || '').split(':').filter((folder) => !folders.includes(folder))
  return { ...process.env, PATH: [...folders, ...rest].join(':') }
}

/**
 * Becomes the program where this Node can: no process stays in between, so signals, exit status and memory are
 * the program's own. Returns where it cannot.
 */
export function execute(path, args, env) {
  if (typeof process.execve !== 'function' || process.platform === 'win32') return
  process.execve(path, [path, ...args], env)
}

/** The same with a child process: signals go on to it, its end is our end. */
export async function launch(path, args, env) {
  const child = spawn(path, args, { env, stdio: 'inherit' })
  // A terminal sends its interrupt to the whole group: passed on, the program would get it twice and take the
  // second one for impatience.
  const forward = (signal) => {
    if (signal === 'SIGINT' && process.stdin.isTTY) return
    child.kill(signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, forward)
  const [status, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, by) => resolve([code, by]))
  })
  for (const name of signals) process.off(name, forward)
  if (signal) process.kill(process.pid, signal)
  else process.exitCode = status
}
