import path from 'node:path'
import type { Config } from '../config.ts'
import { closeClient, connectClient } from '../db/client.ts'
import { DatabaseUnavailable, type Log } from '../db/database.ts'
import { runningEmbeddedUrl } from '../db/embedded/index.ts'
import { inspectMigrations, MigrationError } from '../db/migrate.ts'
import { inspectServer, UnsupportedDatabase } from '../db/pooler.ts'
import { hintFor, reasonOf } from '../db/unreachable.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

export async function examineDatabase(config: Config, log: Log): Promise<Finding[]> {
  const embedded = config.databaseUrl === undefined ? await runningEmbeddedUrl(path.join(config.dataDir, 'postgres')) : undefined
  const url = config.databaseUrl ?? embedded
  if (url === undefined) {
    const where = path.join(config.dataDir, 'postgres')
    return [ok('database', `embedded, in ${where}; it is not running and starts with the server`)]
  }
  const reached = await examineServer(url)
  if (reached.level === 'fail') return [reached]
  return [reached, await examineConnections(config, url), await examineClock(url), await examineMigrations(url, log)]
}

const modes = { direct: 'direct connection', session: 'through a session pooler', transaction: 'through a transaction pooler' }

async function examineServer(url: string): Promise<Finding> {
  try {
    const report = await inspectServer(url)
    const text = `PostgreSQL ${report.serverVersion}, ${modes[report.mode]}`
    return report.limits.length === 0 ? ok('database', text) : warn('database', text, report.limits.join(' '))
  } catch (error) {
    if (error instanceof UnsupportedDatabase) return fail('database', 'it does not fit', error.message)
    if (!(error instanceof DatabaseUnavailable)) throw error
    const cure =
      hintFor(url, error.cause) ??
      'Is it running, and is the address in DATABASE_URL right? Can this machine reach it (firewall)?'
    return fail('database', `it cannot be reached: ${reasonOf(error.cause)}`, cure)
  }
}

/** Two servers of an overlapping deploy must fit beside what others have open; a pooler's own limit is not seen from here. */
async function examineConnections(config: Config, url: string): Promise<Finding> {
  const client = await connectClient(url, { connectTimeoutMs: 5000, queryTimeoutMs: 5000 })
  try {
    const result = await client.query<{ allowed: number; open: number }>(`
      select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as allowed,
             (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as open`)
    const { allowed = 0, open = 0 } = result.rows[0] ?? {}
    const dashboards = config.grafana === 'embedded' ? config.dashboardConnections : 0
    const most = config.databaseConnections + dashboards
    const parts = dashboards > 0 ? ` (${config.databaseConnections} of the server, ${dashboards} of dashboards)` : ''
    const text = `this server opens at most ${most}${parts}; the database allows ${allowed}, ${open} are open`
    return 2 * most <= allowed
      ? ok('connections', text)
      : warn(
          'connections',
          text,
          'During a deploy two servers are open: raise max_connections of the database, or lower DATABASE_CONNECTIONS or DASHBOARD_CONNECTIONS.',
        )
  } finally {
    await closeClient(client)
  }
}

const toleratedMs = 2000

/** Leases are judged by the database's clock alone; a difference only makes times in logs and lists misleading. */
async function examineClock(url: string): Promise<Finding> {
  const client = await connectClient(url, { connectTimeoutMs: 5000, queryTimeoutMs: 5000 })
  try {
    const before = Date.now()
    const result = await client.query<{ now: number }>('select (extract(epoch from clock_timestamp()) * 1000)::float8 as now')
    const difference = (result.rows[0]?.now ?? before) - (before + Date.now()) / 2
    const text = `${Math.abs(difference) < 1000 ? `${Math.round(difference)} ms` : `${(difference / 1000).toFixed(1)} s`} from the clock of the database`
    return Math.abs(difference) <= toleratedMs
      ? ok('clock', text)
      : warn(
          'clock',
          text,
          'Set the clock of this machine by NTP (timedatectl set-ntp true). Leases are safe: they use the database’s clock.',
        )
  } finally {
    await closeClient(client)
  }
}

async function examineMigrations(url: string, log: Log): Promise<Finding> {
  try {
    const { version, pending } = await inspectMigrations({ url, log })
    if (pending.length === 0) return ok('migrations', `the schema is current (version ${version})`)
    if (version === 0) return ok('migrations', 'the database is empty; the next start makes the schema')
    return warn(
      'migrations',
      `${pending.length} not applied yet (from ${pending[0]})`,
      'The next start of this server applies them, after a backup.',
    )
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error
    return fail('migrations', 'this server does not fit the database', error.message)
  }
}
