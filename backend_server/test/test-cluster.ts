import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type pg from 'pg'
import { closeClient, connectClient } from '../src/db/client.ts'
import { type EmbeddedOptions, startEmbeddedPostgres } from '../src/db/embedded/index.ts'
import type { Log } from '../src/db/log.ts'
import { migrate } from '../src/db/migrate.ts'
import { readMigrations } from '../src/db/migration-files.ts'

/*
 * A throw-away PostgreSQL for tests and tools, and one migrated template database in it, from which a test gets its copy in
 * tens of milliseconds. Needs nothing of the test runner.
 */

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

export interface TestCluster {
  /** Superuser on database `postgres`. */
  adminUrl: string
  dataDir: string
  /** Ends it and removes its files, or keeps them for a look. */
  stop(options?: { keep?: boolean }): Promise<void>
}

const folderPrefix = 'vpt-test-pg-'

export async function startTestCluster(options: Pick<EmbeddedOptions, 'binaries'> = {}): Promise<TestCluster> {
  await removeOrphans()
  const dataDir = mkdtempSync(path.join(tmpdir(), folderPrefix))
  const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog, fsync: false, ...options })
  return {
    adminUrl: postgres.superuserUrl,
    dataDir,
    async stop({ keep = false } = {}) {
      await postgres.stop()
      if (!keep) rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** Clusters of test runs that were killed: their lock names a process that is gone, and starting them adopts what still runs. */
async function removeOrphans(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((one) => one.startsWith(folderPrefix))) {
    const dataDir = path.join(tmpdir(), name)
    if (!existsSync(path.join(dataDir, 'owner.lock'))) continue
    try {
      await (await startEmbeddedPostgres({ dataDir, log: silentLog, fsync: false })).stop()
      rmSync(dataDir, { recursive: true, force: true })
    } catch {
      // In use by a test run that lives.
    }
  }
}

const testUser = 'vpt_test'
const testPassword = 'only-on-127.0.0.1'

/** The same server, database `name`, as the plain user who owns the test databases: the product runs without superuser rights. */
export function testUrl(adminUrl: string, name: string): string {
  const url = new URL(adminUrl)
  url.username = testUser
  url.password = testPassword
  url.pathname = `/${name}`
  return url.href
}

export async function withAdmin<T>(adminUrl: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = await connectClient(adminUrl, { connectTimeoutMs: 30_000, queryTimeoutMs: 60_000 })
  try {
    return await work(admin)
  } finally {
    await closeClient(admin)
  }
}

/** Name of the migrated template; it is made once, whoever asks first, and complete when it has its name. */
export async function ensureTemplate(adminUrl: string): Promise<string> {
  const files = readMigrations()
  const hash = createHash('sha256')
  for (const file of files) hash.update(file.file).update(file.checksum)
  const name = `vpt_template_${hash.digest('hex').slice(0, 12)}`
  await withAdmin(adminUrl, async (admin) => {
    await admin.query("select pg_advisory_lock(hashtext('vpt test template'))")
    const found = await admin.query('select 1 from pg_database where datname = $1', [name])
    if (found.rows.length > 0) return
    await ensureUser(admin)
    const draft = `${name}_draft`
    await admin.query(`drop database if exists ${draft} with (force)`)
    await admin.query(`create database ${draft} owner ${testUser}`)
    await migrate({ url: testUrl(adminUrl, draft), log: silentLog })
    await admin.query(`alter database ${draft} rename to ${name}`)
  })
  return name
}

async function ensureUser(admin: pg.Client): Promise<void> {
  const found = await admin.query('select 1 from pg_roles where rolname = $1', [testUser])
  if (found.rows.length === 0) await admin.query(`create role ${testUser} login password '${testPassword}'`)
}

const templates = new Map<string, Promise<string>>()

/** A copy of the template, or an empty database. */
export async function createDatabase(adminUrl: string, name: string, options: { empty?: boolean } = {}): Promise<string> {
  const ensured = templates.get(adminUrl) ?? ensureTemplate(adminUrl)
  templates.set(adminUrl, ensured)
  const template = await ensured
  await withAdmin(adminUrl, (admin) =>
    admin.query(`create database ${name} template ${options.empty ? 'template0' : template} owner ${testUser}`),
  )
  return testUrl(adminUrl, name)
}

export async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  await withAdmin(adminUrl, (admin) => admin.query(`drop database if exists ${name} with (force)`))
}
