import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { nginxConfig } from '../src/container/nginx-config.ts'
import { apiPortBehindNginx } from '../src/platform-rules.ts'
import { freePort } from './reliability/server-process.ts'
import { until } from './until.ts'

const template = path.join(import.meta.dirname, '../config/nginx/nginx.conf.template')

/** nginx as the container starts it, before the server at `serverUrl`; the port of that one is the only difference. */
export async function startNginx(t: TestContext, serverUrl: string, givenPort?: number): Promise<string> {
  const runDir = mkdtempSync(path.join(tmpdir(), 'vpt-nginx-'))
  mkdirSync(path.join(runDir, 'nginx'))
  chmodSync(runDir, 0o711)
  const port = givenPort ?? (await freePort())
  const workerUser = process.getuid?.() === 0 ? 'www-data' : undefined
  const text = nginxConfig(readFileSync(template, 'utf8'), { port, runDir, workerUser })
  const config = path.join(runDir, 'nginx.conf')
  writeFileSync(config, text.replaceAll(`127.0.0.1:${apiPortBehindNginx}`, new URL(serverUrl).host))
  const nginx = spawn('nginx', ['-c', config, '-e', path.join(runDir, 'start.log')], { stdio: ['ignore', 'ignore', 'pipe'] })
  let complaints = ''
  nginx.stderr.on('data', (chunk) => (complaints += String(chunk)))
  const ended = once(nginx, 'exit')
  t.after(async () => {
    nginx.kill('SIGTERM')
    await ended
    rmSync(runDir, { recursive: true, force: true })
  })
  const url = `http://127.0.0.1:${port}`
  await until('nginx answers', async () => {
    if (nginx.exitCode !== null) throw new Error(`nginx ended:\n${complaints}`)
    return (await fetch(`${url}/readyz`).catch(() => undefined))?.status === 200
  })
  return url
}
