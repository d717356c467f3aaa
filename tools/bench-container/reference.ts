import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { unshare } from '../../backend_server/test/container/container.ts'
import { until } from '../../backend_server/test/until.ts'
import { repositoryRoot } from '../files.ts'

/*
 * What the original image is made of: supervisord as process 1, nginx, and a Flask server without any of the original's own
 * modules, in its smallest form or with the packages that the original loads and Debian has. It gets the same kind of root as
 * our container, so that both pay the same for it.
 */

/** Of the original's requirements; its client of Supabase, which Debian does not have, builds on httpx. */
export const loadedPackages = ['flask_cors', 'flask_socketio', 'requests', 'psycopg2', 'httpx']

const supervisor = (imports: readonly string[]): string => `[supervisord]
nodaemon=true
user=root
logfile=/tmp/supervisord.log
pidfile=/tmp/supervisord.pid
[program:flask]
command=/usr/bin/python3 /app/tools/bench/flask_server.py
environment=PORT="5109",IMPORTS="${imports.join(' ')}"
[program:nginx]
command=/usr/sbin/nginx -c /app/data/nginx.conf
`
const nginx = `worker_processes 1;
daemon off;
pid /tmp/nginx.pid;
error_log /tmp/nginx.log warn;
events { worker_connections 1024; }
http {
  access_log off;
  upstream api { server 127.0.0.1:5109; }
  server { listen 10000; location / { proxy_pass http://api; } }
}
`

export interface Reference {
  /** Process 1, as seen from here. */
  pid: number
  stop: () => Promise<void>
}

export async function startReference(imports: readonly string[], networkOf: number): Promise<Reference> {
  const base = mkdtempSync(path.join(tmpdir(), 'vpt-reference-'))
  const volume = `${base}-data`
  mkdirSync(volume)
  writeFileSync(path.join(volume, 'supervisord.conf'), supervisor(imports))
  writeFileSync(path.join(volume, 'nginx.conf'), nginx)
  const test = path.join(repositoryRoot, 'backend_server/test/container')
  const child = spawn(
    'env',
    [
      unshare(networkOf),
      ['sh', path.join(test, 'container-root.sh'), base, '/', repositoryRoot, volume, 'no'],
      [process.execPath, path.join(test, 'programs')],
      ['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'supervisord', '-c', '/app/data/supervisord.conf'],
    ].flat(),
    { stdio: 'ignore' },
  )
  const ended = once(child, 'exit')
  const pid = await until('the reference has its first process', () => {
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()
    return Number(children.split(' ')[0]) || undefined
  })
  return {
    pid,
    async stop() {
      process.kill(pid, 'SIGKILL')
      await ended
      for (const folder of [base, volume]) rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Names of the programs of process 1 by their number inside. */
export function programsBelow(pid: number): Map<number, string> {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return new Map(
    children.map((child) => {
      const status = readFileSync(`/proc/${child}/status`, 'utf8')
      const name = /^Name:\s+(\S+)/m.exec(status)?.[1] ?? ''
      return [Number(/^NSpid:.*\s(\d+)$/m.exec(status)?.[1]), name.startsWith('python') ? 'flask' : name]
    }),
  )
}
