import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { until } from '../until.ts'
import type { MemoryGroup } from './memory-group.ts'

const repository = path.resolve(import.meta.dirname, '../../..')
const needed = ['unshare', 'nsenter', 'setpriv', 'supervisord', 'nginx', 'curl', 'ip']

/** Why containers cannot be started here, in words for a skipped test; false when they can. */
export function cannotStartContainers(): string | false {
  const missing = needed.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' }).status !== 0)
  if (missing.length > 0) return `needs ${missing.join(', ')}`
  if (process.getuid?.() !== 0) return 'needs root'
  const tried = spawnSync('unshare', ['--pid', '--fork', '--mount', '--net', 'true'], { stdio: 'ignore' })
  return tried.status === 0 ? false : 'needs namespaces'
}

export interface ContainerOptions {
  env?: Record<string, string>
  /** Root folder of a built image; VPT_TEST_IMAGE names one for all tests. Default: this machine's programs with this checkout as /app. */
  image?: string
  /** Runs as this user without any capability, as platforms that forbid root do. */
  uid?: number
  /** Read-only root; the size of the tmpfs for the logs. */
  readOnly?: string
  /** Folder for /app/data; default a new one. */
  volume?: string
  /** Shares the network of this process, as on a platform that has laid the lines before it starts anything; default its own. */
  networkOf?: number
  /** Nobody reads the container's output. */
  isDeaf?: boolean
  /** Runs inside this limit of memory, which is removed when it has ended. */
  memoryGroup?: MemoryGroup
}

export interface HttpAnswer {
  status: number
  headers: Record<string, string>
  text: string
}

export interface Container {
  /** Process 1, as seen from here. */
  pid: number
  volume: string
  output: () => string
  /** Output lines of one program. */
  lines: (program: string) => Record<string, unknown>[]
  exec: (...command: string[]) => { status: number | null; stdout: string; stderr: string }
  http: (url: string, ...curlOptions: string[]) => HttpAnswer
  signal: (name: NodeJS.Signals) => void
  /** Exit status, once it has ended. */
  ended: Promise<number>
  /** Ends it with the signal and says how that went. */
  stop: (name?: NodeJS.Signals) => Promise<{ status: number; ms: number }>
  /** What `supervisorctl status` shows: state by program. */
  states: () => Record<string, { state: string; pid: number }>
  processes: () => { pid: number; ppid: number; state: string; user: number; name: string; kilobytes: number; args: string }[]
}

const defaultEnv = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  NODE_ENV: 'production',
  DATA_DIR: '/app/data',
}

let built = false
/** The container runs compiled code. Built once for each test file, and never older than the sources. */
function build(): void {
  if (built) return
  const run = spawnSync(process.execPath, [...process.execArgv.filter((arg) => !arg.startsWith('--test')), 'tools/build.ts'], {
    cwd: repository,
    encoding: 'utf8',
  })
  if (run.status !== 0) throw new Error(`the build failed:\n${run.stdout}${run.stderr}`)
  built = true
}

/** The container in namespaces of its own: its entrypoint is process 1, its network is a loopback device, its volume a folder. */
export async function startContainer(t: Pick<TestContext, 'after'>, options: ContainerOptions = {}): Promise<Container> {
  const image = options.image ?? process.env.VPT_TEST_IMAGE
  if (image === undefined) build()
  const base = mkdtempSync(path.join(tmpdir(), 'vpt-container-'))
  const volume = options.volume ?? `${base}-data`
  mkdirSync(volume, { recursive: true })
  if (options.uid !== undefined && options.volume === undefined) chownSync(volume, options.uid, options.uid)
  const user = options.uid === undefined ? [] : userArgs(options.uid)
  const variables = Object.entries({ ...defaultEnv, ...options.env }).map(([name, value]) => `${name}=${value}`)
  const lower = image ?? '/'
  const checkout = image === undefined ? repository : '-'
  const script = path.join(import.meta.dirname, 'container-root.sh')
  const child = spawn(
    'env',
    [
      options.memoryGroup?.enter() ?? [],
      unshare(options.networkOf),
      [
        'sh',
        script,
        base,
        lower,
        checkout,
        volume,
        options.readOnly ?? 'no',
        process.execPath,
        path.join(import.meta.dirname, 'programs'),
      ],
      ['env', '-i', ...variables, ...user, '/app/backend_server/docker/entrypoint'],
    ].flat(),
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  if (options.isDeaf) child.stdout.pause()
  else child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : 1))
  let first = 0
  t.after(async () => {
    // Process 1 takes all others along. The death of unshare does not reach one that has changed its user.
    if (first > 0 && child.exitCode === null) process.kill(first, 'SIGKILL')
    child.kill('SIGKILL')
    child.stdout.destroy()
    await ended
    await options.memoryGroup?.leave()
    rmSync(base, { recursive: true, force: true })
    if (options.volume === undefined) rmSync(volume, { recursive: true, force: true })
  })
  const pid = await until('the container has its first process', () => firstProcess(child))
  first = pid
  return controls({ child, pid, volume, ended, output: () => output })
}

/** The beginning of a command that runs in namespaces of its own. */
export function unshare(networkOf: number | undefined): string[] {
  const words = ['unshare', '--pid', '--fork', '--kill-child', '--mount', '--ipc', '--uts']
  return networkOf === undefined ? [...words, '--net'] : ['nsenter', '-t', String(networkOf), '-n', ...words]
}

const userArgs = (uid: number): string[] =>
  `setpriv --reuid ${uid} --regid ${uid} --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs --`.split(' ')

function firstProcess(child: ChildProcess): number | undefined {
  if (child.exitCode !== null) return -1
  const file = `/proc/${child.pid}/task/${child.pid}/children`
  return existsSync(file) ? Number(readFileSync(file, 'utf8').trim().split(' ')[0]) || undefined : undefined
}

function controls(parts: {
  child: ChildProcess
  pid: number
  volume: string
  ended: Promise<number>
  output: () => string
}): Container {
  const { child, pid, ended, output } = parts
  const container: Container = {
    pid,
    volume: parts.volume,
    ended,
    output,
    lines: (program) =>
      output()
        .split('\n')
        .filter((line) => line.startsWith(`{"program":"${program}"`))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    exec(...command) {
      const run = spawnSync('nsenter', ['-t', String(pid), '-m', '-p', '-n', '-r', '-w', ...command], {
        encoding: 'utf8',
        timeout: 60_000,
        maxBuffer: 64 * 1024 * 1024,
        env: { PATH: defaultEnv.PATH, LANG: 'C.UTF-8' },
      })
      return { status: run.status, stdout: run.stdout, stderr: run.stderr }
    },
    http(url, ...curlOptions) {
      // Only the network of the container: the client may come from here.
      const args = ['-t', String(pid), '-n', 'curl', '-sS', '-i', '--path-as-is', '--max-time', '20', ...curlOptions, url]
      const run = spawnSync('nsenter', args, { encoding: 'utf8', maxBuffer: 128 * 1024 * 1024 })
      return run.status === 0 || run.stdout !== '' ? parseAnswer(run.stdout) : { status: 0, headers: {}, text: run.stderr }
    },
    signal: (name) => void process.kill(pid, name),
    async stop(name = 'SIGTERM') {
      const from = performance.now()
      if (child.exitCode === null) process.kill(pid, name)
      return { status: await ended, ms: performance.now() - from }
    },
    states() {
      const shown = container.exec('supervisorctl', 'status').stdout.matchAll(/^(\w+)\s+([A-Z]+)(?:\s+pid (\d+))?/gm)
      return Object.fromEntries([...shown].map(([, name, state, one]) => [name, { state: state ?? '', pid: Number(one ?? 0) }]))
    },
    processes: () =>
      container
        .exec('ps', '-e', '-ww', '-o', 'pid=,ppid=,stat=,uid=,comm=,rss=,args=')
        .stdout.split('\n')
        .map((line) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(.*)$/.exec(line))
        .filter((found) => found !== null)
        .map(([, one, parent, state = '', user, name = '', kilobytes, args = '']) => ({
          pid: Number(one),
          ppid: Number(parent),
          state,
          user: Number(user),
          name,
          kilobytes: Number(kilobytes),
          args,
        }))
        .filter((one) => one.name !== 'ps'),
  }
  return container
}

function parseAnswer(raw: string): HttpAnswer {
  // Skips 100 Continue.
  const final = raw.replace(/^(?:HTTP\/1\.1 100[^\r]*\r\n(?:[^\r]+\r\n)*\r\n)+/, '')
  const at = final.indexOf('\r\n\r\n')
  const [first = '', ...lines] = final.slice(0, at).split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase()
    const value = line.slice(line.indexOf(':') + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return { status: Number(first.split(' ')[1]), headers, text: final.slice(at + 4) }
}

/** Waits until the entry port answers its health check. */
export const untilHealthy = (container: Container, port = 10_000): Promise<HttpAnswer> =>
  until('the container is healthy', () => {
    if (!existsSync(`/proc/${container.pid}`)) throw new Error(`the container has ended:\n${container.output()}`)
    const answer = container.http(`http://127.0.0.1:${port}/readyz`)
    return answer.status === 200 && answer
  })
