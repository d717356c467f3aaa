// Runs the bundled server once, without a database, and keeps what V8 compiled for that: a start of the container then compiles
// next to nothing. The flags must be those of the container, or V8 refuses the cache; so they are read where it has them from.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { repositoryRoot } from '../files.ts'

const limitMs = 120_000
const program = 'dist/container/run-api.js'

/** Arguments of Node before the program, from the supervisor's file. */
export function flagsOfApi(): string[] {
  const file = path.join(repositoryRoot, 'backend_server/config/supervisor/supervisord-no-nginx.conf')
  const command = new RegExp(`^command=node (.*) ${program}$`, 'm').exec(readFileSync(file, 'utf8'))?.[1]
  if (command === undefined) throw new Error(`${file} does not start ${program}.`)
  return command.split(' ')
}

export async function writeCodeCache(dist: string): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'vpt-code-cache-'))
  try {
    await run(dist, folder, '--write-code-cache')
    const { said } = await run(dist, folder, '--say-code-cache')
    if (!said.includes('code cache used: true'))
      throw new Error('the container would not use the code cache that was just written')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Until it has answered its first request. */
async function run(dist: string, dataDir: string, argument: string): Promise<{ said: string }> {
  const child = spawn(process.execPath, [...flagsOfApi(), path.join(dist, path.relative('dist', program)), argument], {
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      AUTH_MODE: 'open',
      SERVER_HOST: '127.0.0.1',
      SERVER_PORT: '0',
      DATA_DIR: dataDir,
      // Nobody listens there: the server opens its port and says that it waits.
      DATABASE_URL: 'postgres://nobody:none@127.0.0.1:1/none',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limitMs,
    killSignal: 'SIGKILL',
  })
  let output = ''
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    const url = /"url":"(http:[^"]+)".*"msg":"listening"/.exec(output)?.[1]
    if (url === undefined) return
    child.stdout.removeAllListeners('data').resume()
    const stop = (): boolean => child.kill('SIGTERM')
    fetch(`${url}/health`)
      .then((answer) => answer.text())
      .then(stop, stop)
  })
  const [status] = (await once(child, 'close')) as [number | null]
  if (status !== 0) throw new Error(`the bundled server ended with ${status}:\n${output}${said}`)
  return { said }
}
