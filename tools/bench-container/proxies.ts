import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { until } from '../../backend_server/test/until.ts'
import { freePort, startProgram } from '../bench/programs.ts'
import { repositoryRoot } from '../files.ts'

/*
 * The server's `/grafana` path beside nginx, both in front of the same backend (an nginx that sends files), each with one
 * process. The load comes from wrk, which costs little next to them.
 */

export interface Answers {
  rate: number
  p99Ms: number
}
export interface Load {
  name: string
  path: string
  connections: number
}
export interface Proxies {
  ours: string
  nginx: string
  stop: () => Promise<void>
}

export const loads: Load[] = [
  { name: 'small answers, 40 connections', path: '/grafana/small', connections: 40 },
  { name: 'answers of 1 MB, 20 connections', path: '/grafana/large', connections: 20 },
  { name: 'small answers, 200 connections', path: '/grafana/small', connections: 200 },
]

export async function startProxies(databaseUrl: string): Promise<Proxies> {
  const folder = mkdtempSync(path.join(tmpdir(), 'vpt-proxies-'))
  const programs: ChildProcess[] = []
  const [backend, front, port] = [await freePort(), await freePort(), await freePort()]
  mkdirSync(path.join(folder, 'files/grafana'), { recursive: true })
  writeFileSync(path.join(folder, 'files/grafana/small'), '{"database":"ok"}')
  writeFileSync(path.join(folder, 'files/grafana/large'), Buffer.alloc(1024 * 1024, 'x'))
  const start = async (name: string, at: number, http: string): Promise<void> => {
    const file = path.join(folder, `${name}.conf`)
    writeFileSync(file, configuration(folder, name, http))
    programs.push(spawn('nginx', ['-c', file, '-e', path.join(folder, `${name}.log`)], { stdio: 'ignore' }))
    const ask = async (): Promise<boolean> =>
      (await fetch(`http://127.0.0.1:${at}/grafana/small`).catch(() => undefined))?.ok === true
    await until(`nginx answers as ${name}`, ask)
  }
  await start(
    'backend',
    backend,
    `server { listen 127.0.0.1:${backend} backlog=1024; root ${folder}/files; keepalive_requests 1000000; }`,
  )
  await start(
    'front',
    front,
    `upstream backend { server 127.0.0.1:${backend}; keepalive 64; }
     server { listen 127.0.0.1:${front} backlog=1024; keepalive_requests 1000000; location / {
       proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $http_host;
       proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }`,
  )
  const env = {
    NODE_OPTIONS: '',
    NODE_ENV: 'production',
    AUTH_MODE: 'open',
    SERVER_HOST: '127.0.0.1',
    LOG_LEVEL: 'warn',
    DATABASE_URL: databaseUrl,
    DATA_DIR: path.join(folder, 'data'),
    SERVER_PORT: String(port),
    GRAFANA: 'external',
    GRAFANA_URL: `http://127.0.0.1:${backend}`,
  }
  const ours = await startProgram(
    [process.execPath, path.join(repositoryRoot, 'backend_server/dist/container/run-api.js')],
    env,
    port,
    '/readyz',
  )
  return {
    ours: ours.url,
    nginx: `http://127.0.0.1:${front}`,
    async stop() {
      await ours.stop()
      for (const program of programs) {
        const ended = once(program, 'exit')
        program.kill('SIGTERM')
        await ended
      }
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const configuration = (folder: string, name: string, http: string): string => `
worker_processes 1;
daemon off;
pid ${folder}/${name}.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  sendfile on;
  default_type application/json;
  ${http}
}
`

export function askMany(base: string, { path: target, connections }: Load, seconds: number): Answers {
  const args = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--latency', '--timeout', '10s', `${base}${target}`]
  const { stdout, stderr, status } = spawnSync('wrk', args, { encoding: 'utf8' })
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? Number.NaN)
  const [, p99 = '', unit = ''] = /^\s+99%\s+([\d.]+)(us|ms|s)\s*$/m.exec(stdout) ?? []
  if (status !== 0 || Number.isNaN(rate) || /Non-2xx|Socket errors/.test(stdout))
    throw new Error(`wrk on ${base}${target}: ${stdout}${stderr}`)
  return { rate, p99Ms: Number(p99) * { us: 0.001, ms: 1, s: 1000 }[unit as 'us' | 'ms' | 's'] }
}
