// Promise: an upgrade of a large database is done by one server, in the sight of everybody, and a kill in the middle of it
// costs time and nothing else.
// Starts 10 servers at once on a schema of yesterday with a table of a million rows, kills the one that migrates in the middle
// of its largest step, and looks at all of them all the time. Judge: the answers of /livez and /readyz, the rows, the table
// of migrations, the backups. Takes about 60 s, most of it starting processes and making a million rows.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import test, { type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { closeClient, connectClient } from '../../src/db/client.ts'
import { migrationsFolder, readMigrations } from '../../src/db/migration-files.ts'
import { firstRow, rowsOf } from '../../src/db/query.ts'
import { listBackups } from '../../src/features/backups/index.ts'
import { seedLab } from '../backups/seed.ts'
import { cleanUp, temporaryFolder } from '../db/tools.ts'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { figure, percentile, sizeOf } from './form.ts'

const present = readMigrations().length
const program = fileURLToPath(new URL('./programs/quick-server.ts', import.meta.url))

interface Server {
  child: ChildProcess
  url: string
  /** What /readyz said, each sentence once, in order. */
  told: string[]
  isReady: boolean
  liveMs: number[]
}

async function startServer(t: TestContext, databaseUrl: string, dataDir: string, folder: string): Promise<Server> {
  const child = spawn(process.execPath, ['-C', 'source', program, databaseUrl, dataDir, folder], {
    env: { PATH: process.env.PATH },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  cleanUp(t, async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const { url } = JSON.parse(line) as { url: string }
  return { child, url, told: [], isReady: false, liveMs: [] }
}

/** Asks until the server is ready or dead. */
async function watch(server: Server): Promise<void> {
  while (server.child.exitCode === null && server.child.signalCode === null && !server.isReady) {
    const startedAt = performance.now()
    const live = await fetch(`${server.url}/livez`, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined)
    if (live === undefined) {
      await pause(500)
      assert.ok(server.child.signalCode !== null, 'only a killed server does not answer')
      return
    }
    assert.equal(live.status, 200)
    server.liveMs.push(performance.now() - startedAt)
    const ready = await fetch(`${server.url}/readyz`, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined)
    if (ready?.status === 200) server.isReady = true
    const { error } = ((await ready?.json().catch(() => undefined)) ?? {}) as { error?: string }
    if (error !== undefined && server.told.at(-1) !== error) server.told.push(error)
    await pause(100)
  }
}

const migrates = /^migrating the database: \d+ of \d+ \(big\), 0 %$/

test('T18, M4, M6, H4: 10 servers, a million rows, the one that migrates is killed', { timeout: 900_000 }, async (t) => {
  const { url, db } = await createTestDatabase(t)
  const rows = sizeOf('TEST_STEPS', 1_000_000)
  const count = sizeOf('TEST_PARALLEL', 10)
  await seedLab(url, 20)
  const client = await connectClient(url, { connectTimeoutMs: 30_000, queryTimeoutMs: 0 })
  await client.query(`
    insert into virtualpytest.events (seq, team_id, type, subject_kind, subject_id, rooms, data)
    select n, (select id from virtualpytest.teams limit 1), 'run.finished', 'run', n::text, array['team'], '{"status":"passed"}'
      from generate_series(3, ${rows}) n`)
  await client.query(`update virtualpytest.event_counter set last_seq = ${rows}`)
  await closeClient(client)

  const root = temporaryFolder(t)
  const folder = path.join(root, 'migrations')
  cpSync(migrationsFolder, folder, { recursive: true })
  const file = (n: number, name: string): string => path.join(folder, `${String(present + n).padStart(4, '0')}_${name}.sql`)
  writeFileSync(file(1, 'big'), 'alter table events add column weight int; update events set weight = seq % 7;\n')
  writeFileSync(file(2, 'small'), 'alter table runs add column remark text;\n')

  // One folder of backups, as servers of one installation on one machine have it.
  const dataDir = path.join(root, 'data')
  const startedAt = performance.now()
  const servers = await Promise.all(Array.from({ length: count }, () => startServer(t, url, dataDir, folder)))
  const watched = servers.map(watch)
  const first = await until(
    'one is in the middle of the large step',
    () => servers.find(({ told }) => migrates.test(told.at(-1) ?? '')),
    300_000,
  )
  await pause(500)
  const others = servers.filter((server) => server !== first)
  for (const { told } of others)
    assert.match(told.at(-1) ?? '', /^migrating the database: waiting for another server that is migrating$/)
  assert.equal(first.isReady, false)
  first.child.kill('SIGKILL')
  const killedAt = performance.now()

  const second = await until(
    'the next one goes on',
    () => others.find(({ told }) => told.some((text) => migrates.test(text))),
    300_000,
  )
  await Promise.all(watched)
  const readyAt = performance.now()
  assert.deepEqual(
    others.map(({ isReady }) => isReady),
    Array(count - 1).fill(true),
  )
  assert.deepEqual(
    others.filter(({ told }) => told.some((text) => migrates.test(text))),
    [second],
    'exactly one migrated after the kill',
  )
  assert.ok(
    others.some(({ told }) => told.includes('migrating the database: 1 of 2 (small), 50 %')) || second.isReady,
    'the progress is seen',
  )
  const versions = await rowsOf(db, sql<{ version: number }>`select version from schema_migrations order by version`)
  assert.deepEqual(
    versions.map(({ version }) => version),
    Array.from({ length: present + 2 }, (_, index) => index + 1),
  )
  const sum = await firstRow(
    db,
    sql<{ n: number; wrong: number }>`
    select count(*)::int as n, count(*) filter (where weight is distinct from seq % 7)::int as wrong from events`,
  )
  assert.equal(sum?.wrong, 0)
  // Servers that are ready write events of their own.
  assert.ok((sum?.n ?? 0) >= rows)
  const backups = (await listBackups(path.join(dataDir, 'backups'))).filter(({ kind }) => kind === 'migration')
  assert.ok(backups.length >= 1 && backups.every(({ schemaVersion }) => schemaVersion === present))

  const late = await startServer(t, url, dataDir, folder)
  await watch(late)
  assert.ok(!late.told.some((text) => migrates.test(text)), 'a later start has nothing to do')
  const liveMs = servers.flatMap((server) => server.liveMs)
  figure(
    t,
    'T18',
    `${count} servers, ${rows} rows: ${((killedAt - startedAt) / 1000).toFixed(0)} s until the kill in the middle of the large step, ` +
      `${((readyAt - killedAt) / 1000).toFixed(0)} s more until all others are ready; 1 migrated, ${count - 2} waited and said so; ` +
      `/livez answered ${liveMs.length} times, p99 ${percentile(liveMs, 0.99).toFixed(0)} ms, never failed`,
  )
})
