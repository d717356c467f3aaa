import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { closeClient, connectClient } from '../../src/db/client.ts'
import { cleanUp, isRoot, temporaryFolder, until } from './tools.ts'

export const needsPgbouncer =
  spawnSync('pgbouncer', ['--version']).status === 0 ? false : 'needs pgbouncer (apt-get install pgbouncer)'
const limits = { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 }
const nobody = 65_534

/** The same database through PgBouncer. */
export async function startPgbouncer(
  t: TestContext,
  url: string,
  mode: 'session' | 'transaction',
  poolSize: number,
): Promise<string> {
  const to = new URL(url)
  const folder = temporaryFolder(t)
  const port = await freePort()
  const config = path.join(folder, 'pgbouncer.ini')
  const users = path.join(folder, 'users.txt')
  writeFileSync(users, `"${to.username}" "${to.password}"\n`)
  writeFileSync(
    config,
    `[databases]
* = host=127.0.0.1 port=${to.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = ${mode}
default_pool_size = ${poolSize}
`,
  )
  chmodSync(folder, 0o755)
  // It refuses to run as root, like PostgreSQL.
  if (isRoot) for (const file of [config, users]) chownSync(file, nobody, nobody)
  const child = spawn('pgbouncer', [config], { stdio: 'ignore', ...(isRoot ? { uid: nobody, gid: nobody } : {}) })
  cleanUp(t, async () => {
    child.kill('SIGKILL')
    await once(child, 'close')
  })
  to.port = String(port)
  await until('pgbouncer answers', async () => {
    try {
      await closeClient(await connectClient(to.href, limits))
      return true
    } catch {
      return false
    }
  })
  return to.href
}

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return address && typeof address === 'object' ? address.port : 0
}
