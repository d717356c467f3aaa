import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { sql } from 'kysely'
import { readMigrations } from '../../src/db/migration-files.ts'
import { clockMovedBy, faketime } from '../db/faketime.ts'
import { needsPgbouncer, startPgbouncer } from '../db/pgbouncer.ts'
import { cleanUp, isRoot, temporaryFolder } from '../db/tools.ts'
import { startLab } from '../start-lab.ts'
import { createTestDatabase } from '../test-db.ts'
import { vpt } from './run-vpt.ts'

interface Finding {
  name: string
  level: 'ok' | 'warn' | 'fail'
  text: string
  cure?: string
}

async function doctor(
  t: TestContext,
  env: Record<string, string>,
): Promise<{ code: number | null; findings: Map<string, Finding> }> {
  const { code, stdout, stderr } = await vpt(t, ['doctor', '--json', '--timeout', '3'], env)
  assert.notEqual(stdout, '', stderr)
  const { findings, success } = JSON.parse(stdout) as { findings: Finding[]; success: boolean }
  assert.equal(success, code === 0)
  for (const one of findings) assert.equal(one.cure === undefined, one.level === 'ok', `${one.name}: every trouble has its cure`)
  return { code, findings: new Map(findings.map((one) => [one.name, one])) }
}

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUp(t, () => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

test('vpt doctor: a healthy server', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const port = new URL(lab.url).port
  const env = { DATABASE_URL: lab.databaseUrl, DATA_DIR: temporaryFolder(t), SERVER_PORT: port, VPT_SERVER: lab.url }
  const made = await vpt(t, ['backup'], env)
  assert.equal(made.code, 0, made.stderr)
  const { code, findings } = await doctor(t, env)
  assert.equal(code, 0)
  const says = (name: string): string => `${findings.get(name)?.level} ${findings.get(name)?.text}`
  assert.match(says('database'), /^ok PostgreSQL \d+.*, direct connection$/)
  assert.match(says('connections'), /^ok this server opens at most 5; the database allows \d+, \d+ are open$/)
  assert.match(says('clock'), /^ok -?\d+ ms from the clock of the database$/)
  assert.match(says('migrations'), /^ok the schema is current \(version \d+\)$/)
  assert.match(says('port of the API'), /^ok \d+ is used by a running VirtualPyTest server$/)
  assert.match(says('data folder'), /^ok .* can be written$/)
  assert.match(says('backup'), /^ok vpt-.* old, read back completely$/)
  assert.match(says('server'), /^ok version .* at http/)
  assert.match(says('WebSocket'), /^ok opens through the entry port$/)
  for (const name of ['disk', 'memory']) assert.ok(findings.has(name), name)
  assert.match(says('Grafana'), /^ok switched off/)
  const text = await vpt(t, ['doctor'], env)
  assert.match(text.stdout, /^This machine.*\n(?: {2}.*\n)+\nThe server at http/)
  assert.match(text.stdout, /^ {2}ok +database +PostgreSQL/m)
})

test('vpt doctor: each trouble is named with its cure, and the exit code is 1', async (t) => {
  const { url, db } = await createTestDatabase(t)
  await sql`insert into schema_migrations (version, name, checksum, breaking) values (${readMigrations().length + 1}, 'newer', 'x', true)`.execute(
    db.kysely,
  )
  // A web server of somebody else: on our port, and as what VPT_SERVER names.
  const port = await listen(
    t,
    createServer((_request, response) => response.end('hello')),
  )
  const dataDir = temporaryFolder(t)
  const taken = path.join(dataDir, 'a-file')
  writeFileSync(taken, '')
  const env = {
    DATABASE_URL: url,
    DATA_DIR: dataDir,
    BACKUP_DIR: taken,
    SERVER_PORT: String(port),
    VPT_SERVER: `http://127.0.0.1:${port}`,
  }
  const { code, findings } = await doctor(t, env)
  assert.equal(code, 1)
  assert.match(findings.get('migrations')?.cure ?? '', /Start the newer server, or restore a backup/)
  assert.match(findings.get('port of the API')?.text ?? '', /is used by another program/)
  assert.match(findings.get('port of the API')?.cure ?? '', /ss -ltnp .*SERVER_PORT/)
  assert.match(findings.get('backup folder')?.cure ?? '', /BACKUP_DIR/)
  assert.match(findings.get('server')?.text ?? '', /not as a VirtualPyTest server/)

  const away = await doctor(t, {
    DATABASE_URL: 'postgresql://u:secret-word@127.0.0.1:1/d',
    DATA_DIR: dataDir,
    VPT_SERVER: 'http://127.0.0.1:1',
  })
  assert.match(away.findings.get('database')?.text ?? '', /cannot be reached: .*ECONNREFUSED/)
  assert.equal(away.findings.get('server')?.level, 'fail')
  assert.ok(!JSON.stringify([...away.findings.values()]).includes('secret-word'))

  const settings = await doctor(t, { SERVER_PORT: 'many', VPT_SERVER: 'http://127.0.0.1:1' })
  assert.match(settings.findings.get('settings')?.text ?? '', /SERVER_PORT must be a port number/)
})

test('vpt doctor: a proxy that forgets upgrades, and a Grafana that does not run', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const port = await listen(
    t,
    createServer((request, response) => {
      if (request.url?.startsWith('/grafana')) {
        response.writeHead(503).end('{"success":false}')
        return
      }
      fetch(`${lab.url}${request.url}`)
        .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
        .catch(() => response.destroy())
    }),
  )
  const env = {
    DATABASE_URL: lab.databaseUrl,
    DATA_DIR: temporaryFolder(t),
    VPT_SERVER: `http://127.0.0.1:${port}`,
    SERVER_PORT: '0',
  }
  const { code, findings } = await doctor(t, env)
  assert.equal(code, 1)
  assert.equal(findings.get('WebSocket')?.level, 'fail')
  assert.match(findings.get('WebSocket')?.cure ?? '', /Upgrade and Connection/)
  assert.deepEqual([findings.get('Grafana')?.level, findings.get('server')?.level], ['warn', 'ok'])
})

test('vpt doctor: a wrong clock and a transaction pooler are named with what helps', {
  skip: needsPgbouncer || (faketime === undefined ? 'needs libfaketime (apt-get install faketime)' : false),
}, async (t) => {
  const { url } = await createTestDatabase(t)
  const { findings } = await doctor(t, {
    DATABASE_URL: await startPgbouncer(t, url, 'transaction', 3),
    DATA_DIR: temporaryFolder(t),
    SERVER_PORT: '0',
    ...clockMovedBy(-300),
  })
  assert.deepEqual(findings.get('database')?.level, 'warn')
  assert.match(findings.get('database')?.text ?? '', /through a transaction pooler$/)
  assert.match(findings.get('database')?.cure ?? '', /session pooler/i)
  assert.match(findings.get('clock')?.text ?? '', /^(299|300|301)\.\d s from the clock of the database$/)
  assert.match(findings.get('clock')?.cure ?? '', /NTP.*Leases are safe/)
})

test('vpt doctor: a full disk, a folder that cannot be written, a Grafana that does not know its path', {
  skip: isRoot ? false : 'needs root to mount a small file system',
}, async (t) => {
  const folder = temporaryFolder(t)
  const [small, closed] = [path.join(folder, 'small'), path.join(folder, 'closed')]
  for (const [place, options] of [
    [small, 'size=64m'],
    [closed, 'size=64m,ro'],
  ] as const) {
    mkdirSync(place)
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', place])
    cleanUp(t, () => execFileSync('umount', [place]))
  }
  const lab = await startLab(t, { hosts: 0 })
  const port = await listen(
    t,
    createServer((request, response) => {
      if (request.url?.startsWith('/grafana')) response.end('<html><base href="/"></html>')
      else
        fetch(`${lab.url}${request.url}`)
          .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
          .catch(() => response.destroy())
    }),
  )
  const { code, findings } = await doctor(t, {
    DATABASE_URL: lab.databaseUrl,
    DATA_DIR: small,
    BACKUP_DIR: path.join(closed, 'backups'),
    SERVER_PORT: '0',
    VPT_SERVER: `http://127.0.0.1:${port}`,
  })
  assert.equal(code, 1)
  const says = (name: string): string => `${findings.get(name)?.level}: ${findings.get(name)?.text} → ${findings.get(name)?.cure}`
  assert.match(says('disk'), /^fail: 0\.1 GB of 0\.1 GB free at .*small → Delete what is not needed/)
  assert.match(says('backup folder'), /^fail: .*cannot be written \(EROFS.*→ Give it to the user of the server.*BACKUP_DIR/)
  assert.match(says('Grafana'), /^fail: its pages do not know.*→ Set GF_SERVER_ROOT_URL/)
})

test('vpt doctor: before the first start, on a machine where nothing was made yet', async (t) => {
  const dataDir = path.join(temporaryFolder(t), 'not', 'there')
  const { findings } = await doctor(t, { DATA_DIR: dataDir, SERVER_PORT: '0' })
  assert.match(findings.get('database')?.text ?? '', /embedded, in .*; it is not running and starts with the server/)
  assert.match(findings.get('data folder')?.text ?? '', /will be made at the first start/)
})
