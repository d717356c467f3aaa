import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'

const main = path.resolve(import.meta.dirname, '../../src/main.ts')

test('H3: a second signal ends a stop that waits, and one Ctrl-C that arrives twice does not', async (t) => {
  const { url } = await createTestDatabase(t)
  const dataDir = await mkdtemp(path.join(tmpdir(), 'vpt-signal-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const env = { ...process.env, DATABASE_URL: url, DATA_DIR: dataDir, SERVER_PORT: '0', LOG_LEVEL: 'info' }
  const child = spawn(process.execPath, [...process.execArgv, main], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  await until('the server is ready', () => output.includes('"msg":"ready"'))
  const port = Number(/"port":(\d+),"auth_mode"/.exec(output)?.[1])

  // A request whose body never ends keeps an orderly stop waiting.
  const socket = net.connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => undefined)
  socket.write(
    'POST /server/system/ping HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n',
  )
  // Answered with 100 Continue when the request has arrived.
  await once(socket, 'data')

  child.kill('SIGINT')
  await until('it stops', () => output.includes('"msg":"stopping"'))
  child.kill('SIGINT')
  await pause(1100)
  assert.equal(child.exitCode, null, 'the same Ctrl-C counted twice')
  const exited = once(child, 'exit')
  const asked = performance.now()
  child.kill('SIGINT')
  assert.deepEqual(await exited, [130, null])
  // An orderly stop with an open request takes 13 s.
  assert.ok(performance.now() - asked < 10_000)
})
