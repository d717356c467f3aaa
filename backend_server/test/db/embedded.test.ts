import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { closeClient, connectClient } from '../../src/db/client.ts'
import { type EmbeddedOptions, type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/db/embedded/index.ts'
import { isRunning, processesIn } from '../../src/db/embedded/process-identity.ts'
import { silentLog } from '../test-cluster.ts'
import { cleanUp, isRoot, programSources, recordLog, startProgram, temporaryFolder, until } from './tools.ts'

// Promises of the embedded database (S6, S72): real clusters on this machine, each with every kind of programs found here.

const limits = { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 }

async function start(t: TestContext, options: Partial<EmbeddedOptions> & { dataDir: string }): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ log: silentLog, fsync: false, ...options })
  cleanUp(t, () => postgres.stop())
  return postgres
}

async function ask<T>(url: string, sql: string): Promise<T> {
  const client = await connectClient(url, limits)
  try {
    const result = await client.query<{ value: T }>(sql)
    return result.rows[0]?.value as T
  } finally {
    await closeClient(client)
  }
}

for (const binaries of programSources) {
  test(`S72: a new cluster of the ${binaries} programs starts, keeps its data and its port`, async (t) => {
    const dataDir = temporaryFolder(t)
    const startedAt = performance.now()
    const first = await start(t, { dataDir, binaries, fsync: true })
    t.diagnostic(`first start ${Math.round(performance.now() - startedAt)} ms, version ${first.version}`)
    assert.match(first.version, binaries === 'npm' ? /^18\./ : /^1[5-9]\./)
    assert.equal(statSync(path.join(dataDir, 'credentials.json')).mode & 0o777, 0o600)
    await ask(first.url, 'create table kept as select 42 as id')
    await first.stop()
    assert.equal(isRunning(first.pid), false)
    assert.ok(!existsSync(path.join(dataDir, 'owner.lock')))

    const againAt = performance.now()
    const second = await start(t, { dataDir })
    t.diagnostic(`warm start ${Math.round(performance.now() - againAt)} ms`)
    assert.equal(second.port, first.port)
    assert.equal(second.version, first.version, 'the data folder decides the version')
    assert.equal(await ask(second.url, 'select id as value from kept'), 42)
  })

  test(`S72: ${binaries} programs listen on 127.0.0.1 only, ask for a password, and the server is no superuser`, async (t) => {
    const postgres = await start(t, { dataDir: temporaryFolder(t), binaries })
    assert.equal(await ask(postgres.superuserUrl, "select current_setting('listen_addresses') as value"), '127.0.0.1')
    const rules = 'select count(*)::int as value from pg_hba_file_rules'
    assert.equal(await ask(postgres.superuserUrl, `${rules} where auth_method <> 'scram-sha-256'`), 0)
    assert.equal(await ask(postgres.url, 'select rolsuper as value from pg_roles where rolname = current_user'), false)
    const wrong = new URL(postgres.url)
    wrong.password = 'wrong'
    await assert.rejects(connectClient(wrong.href, limits), { code: 'database_unavailable' })
    assert.equal(await ask(postgres.url, "select lower('ÄÉ') as value"), 'äé', 'the locale knows letters outside English')
  })
}

test('S6: a second server on the same folder is refused with the reason', async (t) => {
  const dataDir = temporaryFolder(t)
  const owner = startProgram(t, 'own-cluster.ts', [dataDir])
  const { url, pid } = JSON.parse(await owner.nextLine())
  await assert.rejects(startEmbeddedPostgres({ dataDir, log: silentLog }), {
    code: 'data_folder_in_use',
    message: new RegExp(`process ${owner.child.pid}, .*DATA_DIR`),
  })
  assert.equal(await ask(url, 'select 1 as value'), 1, 'the first one is not disturbed')
  owner.child.stdin?.end()
  assert.equal(await owner.ended, 0)
  assert.equal(isRunning(pid), false)
})

test('N1: a database that outlived its killed server is adopted with its sessions', async (t) => {
  const dataDir = temporaryFolder(t)
  const owner = startProgram(t, 'own-cluster.ts', [dataDir])
  const first = JSON.parse(await owner.nextLine())
  const session = await connectClient(first.url, limits)
  cleanUp(t, () => closeClient(session))
  await session.query('create temporary table only_here as select 7 as id')
  owner.child.kill('SIGKILL')
  await owner.ended

  const second = await start(t, { dataDir })
  assert.equal(second.adopted, true)
  assert.equal(second.pid, first.pid)
  assert.equal(second.url, first.url)
  assert.equal((await session.query('select id from only_here')).rows[0].id, 7)
  await closeClient(session)
  await second.stop()
  assert.equal(isRunning(first.pid), false)
})

test('N7: a database that dies is reported once, and can be started again at the same address', async (t) => {
  const dataDir = temporaryFolder(t)
  const exits: string[] = []
  const first = await start(t, { dataDir, onExit: (exit) => exits.push(exit.logFile) })
  process.kill(first.pid, 'SIGKILL')
  await until('the exit is reported', () => exits.length > 0)
  const second = await start(t, { dataDir })
  assert.deepEqual(exits, [path.join(dataDir, 'postgres.log')])
  assert.equal(second.url, first.url)
  assert.equal(await ask(second.url, 'select 1 as value'), 1)
  await first.stop()
  assert.equal(isRunning(second.pid), true, 'stopping the dead one leaves the new one alone')
})

test('S49: a server that must exit at once takes its database with it', async (t) => {
  const postgres = await start(t, { dataDir: temporaryFolder(t) })
  postgres.interrupt()
  await until('it has ended', () => !isRunning(postgres.pid))
})

test('S6: a stranger who has the process id of the killed database does not prevent a start', async (t) => {
  const dataDir = temporaryFolder(t)
  const first = await start(t, { dataDir })
  const cluster = path.join(dataDir, 'pgdata')
  const pidFile = path.join(cluster, 'postmaster.pid')
  const lines = readFileSync(pidFile, 'utf8').split('\n')
  for (const pid of processesIn(cluster)) process.kill(pid, 'SIGKILL')
  await until('all are gone', () => processesIn(cluster).length === 0)
  const stranger = spawn('sleep', ['60'])
  cleanUp(t, async () => {
    stranger.kill()
    await once(stranger, 'close')
  })
  writeFileSync(pidFile, [String(stranger.pid), ...lines.slice(1)].join('\n'))
  await first.stop()
  const second = await start(t, { dataDir })
  assert.equal(second.adopted, false)
  assert.equal(await ask(second.url, 'select 1 as value'), 1)
  assert.equal(stranger.exitCode, null)
})

test('S72: another port is taken when somebody sits on the last one', async (t) => {
  const dataDir = temporaryFolder(t)
  const first = await start(t, { dataDir })
  await first.stop()
  const squatter = net.createServer()
  squatter.listen(first.port, '127.0.0.1')
  await once(squatter, 'listening')
  cleanUp(t, () => squatter.close())
  const second = await start(t, { dataDir })
  assert.notEqual(second.port, first.port)
  await second.stop()
  await assert.rejects(startEmbeddedPostgres({ dataDir, log: silentLog, port: first.port }), {
    code: 'start_failed',
    message: /could not bind[\s\S]*postgres\.log/,
  })
})

test('S72, B3: lost passwords are replaced, and a start that was killed while making the cluster leaves no trace', async (t) => {
  const dataDir = temporaryFolder(t)
  mkdirSync(path.join(dataDir, 'pgdata.new-1', 'base'), { recursive: true })
  const first = await start(t, { dataDir })
  assert.ok(!existsSync(path.join(dataDir, 'pgdata.new-1')))
  await first.stop()
  rmSync(path.join(dataDir, 'credentials.json'))
  const second = await start(t, { dataDir })
  assert.notEqual(second.url, first.url)
  assert.equal(await ask(second.url, 'select 1 as value'), 1)
  assert.equal(await ask(second.superuserUrl, 'select 1 as value'), 1)
})

test('S72: a folder whose path is too long for a socket works over TCP', async (t) => {
  const dataDir = path.join(temporaryFolder(t), 'x'.repeat(90), 'with space', 'data')
  const postgres = await start(t, { dataDir })
  assert.equal(await ask(postgres.superuserUrl, "select current_setting('unix_socket_directories') as value"), '')
})

test('S6: a cluster of a version without programs, and a folder that is no cluster, are refused with the reason', async (t) => {
  const old = temporaryFolder(t)
  mkdirSync(path.join(old, 'pgdata'))
  await assert.rejects(startEmbeddedPostgres({ dataDir: old, log: silentLog }), {
    code: 'data_folder_unusable',
    message: /PG_VERSION/,
  })
  writeFileSync(path.join(old, 'pgdata/PG_VERSION'), '9\n')
  await assert.rejects(startEmbeddedPostgres({ dataDir: old, log: silentLog }), { code: 'no_binaries', message: /PostgreSQL 9/ })
  assert.ok(!existsSync(path.join(old, 'owner.lock')), 'a failed start frees the folder')
})

test('S6: a damaged cluster fails with the lines of its log and the place of the log', async (t) => {
  const dataDir = temporaryFolder(t)
  const first = await start(t, { dataDir })
  await first.stop()
  rmSync(path.join(dataDir, 'pgdata/global/pg_control'))
  const log = recordLog()
  await assert.rejects(startEmbeddedPostgres({ dataDir, log }), {
    code: 'start_failed',
    message: /could not find the database system|pg_control[\s\S]*postgres\.log/,
  })
  const { password } = new URL(first.url)
  assert.ok(!log.text.includes(password))
})

test('S6: root runs it in a folder that is closed to others', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const closed = path.join(temporaryFolder(t), 'home')
  mkdirSync(closed, { mode: 0o700 })
  const postgres = await start(t, { dataDir: path.join(closed, 'data') })
  assert.equal(await ask(postgres.url, 'select 1 as value'), 1)
})

test('S6: where namespaces are forbidden root uses an unprivileged user, or says which folder is closed', {
  skip: isRoot ? false : 'needs root',
}, async (t) => {
  const parent = temporaryFolder(t)
  chmodSync(parent, 0o700)
  const dataDir = path.join(parent, 'data')
  const options = { dataDir, log: silentLog, fsync: false, runAs: 'user' as const }
  await assert.rejects(startEmbeddedPostgres(options), {
    code: 'data_folder_unusable',
    message: new RegExp(`cannot enter ${parent} `),
  })
  chmodSync(parent, 0o755)
  const postgres = await start(t, options)
  assert.notEqual(statSync(path.join(dataDir, 'pgdata')).uid, 0)
  assert.equal(await ask(postgres.url, 'select 1 as value'), 1)
  await postgres.stop()
  const again = await start(t, { dataDir })
  assert.equal(await ask(again.url, 'select 1 as value'), 1, 'its owner decides who runs it, although root could use a namespace')
})
