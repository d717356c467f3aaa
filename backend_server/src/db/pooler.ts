import type pg from 'pg'
import { closeClient, connectClient, toldProcessId } from './client.ts'
import { redactUrl } from './connection-url.ts'
import { DatabaseUnavailable, isConnectionLoss } from './errors.ts'

/*
 * What stands between this server and PostgreSQL, found out by looking and without leaving a trace:
 * - direct: the process id told at login is the backend's own;
 * - transaction pooler: while one client holds a transaction, an idle one is found on another backend than before, or both
 *   were on the same one;
 * - session pooler: neither.
 * A test by advisory lock or by `set` would also work, and would leave both behind on a backend that others get.
 */

export type ConnectionMode = 'direct' | 'session' | 'transaction'

export interface ServerReport {
  mode: ConnectionMode
  /** As the server names itself, such as `15.18 (Debian 15.18-0+deb12u1)`. */
  serverVersion: string
  versionNumber: number
  /** What does not work on this way to the database, one sentence each. */
  limits: string[]
}

/** The database is there and this server cannot work with it. The message says why. */
export class UnsupportedDatabase extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UnsupportedDatabase'
  }
}

export const oldestVersion = 15

const transactionLimits = [
  'The database is reached through a transaction pooler: LISTEN and NOTIFY do not work, so events of other servers arrive by polling; ' +
    'statements outside transactions take three round trips. Use the session pooler (Supabase: port 5432 instead of 6543) or a direct address.',
]

const limits = { connectTimeoutMs: 5000, queryTimeoutMs: 5000 }

/** Throws DatabaseUnavailable (try again) or UnsupportedDatabase (do not). */
export async function inspectServer(url: string): Promise<ServerReport> {
  const client = await connectClient(url, limits)
  try {
    const server = await readServer(client)
    const complaint = complaintAbout(server)
    if (complaint) throw new UnsupportedDatabase(`${redactUrl(url)}: ${complaint}`)
    const mode = server.pid === toldProcessId(client) ? 'direct' : await poolerMode(client, url)
    return {
      mode,
      serverVersion: server.version,
      versionNumber: server.number,
      limits: mode === 'transaction' ? transactionLimits : [],
    }
  } catch (error) {
    throw isConnectionLoss(error) && !(error instanceof DatabaseUnavailable) ? new DatabaseUnavailable(error) : error
  } finally {
    await closeClient(client)
  }
}

export interface ServerFacts {
  version: string
  number: number
  pid: number
  dateStyle: string
  encoding: string
}

async function readServer(client: pg.Client): Promise<ServerFacts> {
  const result = await client.query<ServerFacts>(
    `select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
            pg_backend_pid() as pid, current_setting('datestyle') as "dateStyle", current_setting('server_encoding') as encoding`,
  )
  const row = result.rows[0]
  if (!row) throw new Error('the database answered without a row')
  return row
}

export function complaintAbout(server: ServerFacts): string | undefined {
  if (server.number < oldestVersion * 10_000) {
    return `this is PostgreSQL ${server.version}, and version ${oldestVersion} or newer is needed. Upgrade it, or leave DATABASE_URL out to use the embedded database.`
  }
  if (!server.dateStyle.startsWith('ISO')) return 'its DateStyle is not ISO. Run: alter role ... set datestyle = ISO.'
  if (server.encoding !== 'UTF8')
    return `its encoding is ${server.encoding}, and UTF8 is needed. Create a database with encoding UTF8.`
  return undefined
}

const rounds = 3

async function poolerMode(first: pg.Client, url: string): Promise<'session' | 'transaction'> {
  const second = await connectClient(url, limits)
  try {
    for (let round = 0; round < rounds; round += 1) {
      const before = await backendOf(first)
      await second.query('begin')
      const held = await backendOf(second)
      const after = held === before ? before : await backendOf(first)
      await second.query('rollback')
      if (held === before || after !== before) return 'transaction'
    }
    return 'session'
  } catch (error) {
    // A session pooler with a single backend lets the second client wait for the first.
    if (error instanceof Error && error.message === 'Query read timeout') return 'session'
    throw error
  } finally {
    await closeClient(second)
  }
}

async function backendOf(client: pg.Client): Promise<number> {
  const result = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return result.rows[0]?.pid ?? 0
}
