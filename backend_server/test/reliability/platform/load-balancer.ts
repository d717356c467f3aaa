import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { until } from '../../until.ts'
import { freePort } from '../server-process.ts'

/*
 * The platform's own load balancer: a real nginx in front of the containers, which sends new requests to one of them. After a
 * switch, requests and sockets that were open stay where they are.
 */

export interface LoadBalancer {
  url: string
  switchTo: (address: string) => Promise<void>
  /** What nginx itself complained about. */
  complaints: () => string[]
}

export async function startLoadBalancer(t: Pick<TestContext, 'after'>, first: string): Promise<LoadBalancer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'vpt-balancer-'))
  const port = await freePort()
  const file = path.join(folder, 'nginx.conf')
  let errors = ''
  let nginx: ChildProcess | undefined
  t.after(async () => {
    if (nginx?.exitCode === null) {
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  })
  writeFileSync(file, configuration(folder, port, first))
  const child = spawn('nginx', ['-c', file, '-e', path.join(folder, 'start.log')], { stdio: ['ignore', 'ignore', 'pipe'] })
  nginx = child
  child.stderr.on('data', (part: Buffer) => (errors += part.toString()))
  await until('the load balancer listens', async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${errors}`)
    return (await fetch(`http://127.0.0.1:${port}/balancer`).catch(() => undefined))?.status === 200
  })
  const workers = (): string => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()
  return {
    url: `http://127.0.0.1:${port}`,
    async switchTo(address) {
      const before = workers()
      writeFileSync(file, configuration(folder, port, address))
      child.kill('SIGHUP')
      // Once there is another worker, the one of before takes no new connections.
      await until('the load balancer has switched', () => workers() !== before)
    },
    complaints: () => errors.split('\n').filter((line) => /\[(error|crit|alert|emerg)\]/.test(line)),
  }
}

/**
 * Clients open a connection for each request: which of two workers closes an idle one, and when, would be a race of the load
 * balancer's. Requests are never repeated elsewhere: a failure of a container is a failure here.
 */
const configuration = (folder: string, port: number, address: string): string => `
worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder};
  proxy_temp_path ${folder};
  fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder};
  scgi_temp_path ${folder};
  keepalive_timeout 0;
  client_max_body_size 64m;
  map $http_upgrade $upstream_connection { default upgrade; '' ''; }
  upstream service { server ${address} max_fails=0; keepalive 16; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location = /balancer { return 200; }
    location / {
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $upstream_connection;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_next_upstream off;
      proxy_buffering off;
      proxy_read_timeout 3600s;
    }
  }
}
`
