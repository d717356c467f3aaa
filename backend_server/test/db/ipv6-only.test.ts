import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { cleanUp, temporaryFolder, until } from './tools.ts'

// D1: the server in a network of its own, without IPv6, where the name of the database has an IPv6 address and no other.

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const hasNamespaces = spawnSync('unshare', ['--mount', '--net', 'true']).status === 0
const skip = hasNamespaces ? false : 'needs root and namespaces (unshare)'

for (const [name, host, cure] of [
  ['of Supabase', 'db.abcdefghijkl.supabase.co', /IPv6 only.*session pooler.*port 5432/],
  ['of anybody', 'database.example.org', /IPv6 only.*IPv4/],
] as const) {
  test(`D1: a database host ${name} that has IPv6 addresses only is named as that, with the cure`, { skip }, async (t) => {
    const folder = temporaryFolder(t)
    const hosts = path.join(folder, 'hosts')
    writeFileSync(hosts, `127.0.0.1 localhost\n2001:db8::5432 ${host}\n`)
    const command = `ip link set lo up 2>/dev/null; mount --bind ${hosts} /etc/hosts && exec "$0" -C source ${main}`
    const child = spawn('unshare', ['--mount', '--net', 'sh', '-c', command, process.execPath], {
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: `postgresql://postgres:do-not-show-me@${host}:5432/postgres`,
        DATA_DIR: path.join(folder, 'data'),
        SERVER_PORT: '0',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    cleanUp(t, async () => {
      child.kill('SIGKILL')
      await once(child, 'close')
    })
    const lines: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    await until('the log says it', () => lines.some((line) => cure.test(line)))
    assert.doesNotMatch(lines.join('\n'), /do-not-show-me/)
    assert.equal(child.exitCode, null, 'it goes on trying')
  })
}
