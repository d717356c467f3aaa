import { setTimeout as pause } from 'node:timers/promises'
import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely'
import pg from 'pg'
import { closeClient, toldProcessId } from './client.ts'
import { clientConfig, redactUrl } from './connection-url.ts'
import { DatabaseUnavailable, isConnectionLoss } from './errors.ts'
import type { Log } from './log.ts'
import { hintFor, reasonOf } from './unreachable.ts'
import { valueTypes } from './value-types.ts'

/*
 * A pool whose connections keep three promises on any way to PostgreSQL:
 * - every statement runs with search_path = virtualpytest and a time limit;
 * - nothing is ever `set` on a session that somebody else may get: behind a transaction pooler the next user of that
 *   backend would inherit it, and an existing Supabase project would look for its tables in our schema;
 * - a lost connection is thrown as DatabaseUnavailable and never reused.
 *
 * How: a new connection compares the process id it was told at login with pg_backend_pid(). Equal means that no pooler is
 * between, and the settings are made once for the session. Otherwise a single statement is wrapped into a transaction of its
 * own with `set local`, at the price of two more round trips. Startup parameters would be simpler, but poolers refuse them.
 */

export const schemaName = 'virtualpytest'

const statementTimeoutMs = 30_000
/** Longer than the server's limit, so that the server's clearer error comes first. It also ends waits on a dead network. */
const queryTimeoutMs = 35_000
const connectTimeoutMs = 5000
/** What is still running when the pool closes gets this long. */
const closeTimeoutMs = 5000

// The silence limit frees row locks (of the event counter above all) when this process is stopped in the middle.
const localSettings =
  `set local search_path to ${schemaName}; set local statement_timeout to ${statementTimeoutMs}; ` +
  `set local idle_in_transaction_session_timeout to ${statementTimeoutMs}`

export interface Pool extends PostgresPool {
  ping(): Promise<void>
}

export function openPool(options: { url: string; maxConnections: number; log: Log }): Pool {
  const { log } = options
  const settled = new WeakMap<pg.PoolClient, { direct: boolean }>()
  const pool = new pg.Pool({
    ...clientConfig(options.url, { connectTimeoutMs, queryTimeoutMs }),
    max: options.maxConnections,
    idleTimeoutMillis: 30_000,
    types: valueTypes,
  })
  // A loss between two statements arrives as an event, which would end the process if nobody listened.
  const open = new Set<pg.PoolClient>()
  pool.on('connect', (client) => {
    client.on('error', () => {})
    open.add(client)
  })
  pool.on('remove', (client) => open.delete(client))
  // An idle connection ended, for example because the server restarts. The pool has dropped it already.
  pool.on('error', (error) => log.warn({ reason: reasonOf(error) }, 'an idle database connection was lost'))

  let reachable: boolean | undefined
  const noteReachable = (now: boolean, error?: unknown): void => {
    if (now === reachable) return
    const database = redactUrl(options.url)
    if (!now) log.warn({ database, reason: reasonOf(error), hint: hintFor(options.url, error) }, 'the database cannot be reached')
    else if (reachable === false) log.info({ database }, 'the database is reachable again')
    reachable = now
  }

  const connect = async (): Promise<PostgresPoolClient> => {
    let client: pg.PoolClient | undefined
    try {
      client = await pool.connect()
      const session = settled.get(client) ?? (await settleSession(client))
      settled.set(client, session)
      noteReachable(true)
      return guard(client, session.direct, (error) => noteReachable(false, error))
    } catch (error) {
      client?.release(true)
      // A pool that is merely busy is no news about the database.
      if (!isBusy(error)) noteReachable(false, error)
      throw new DatabaseUnavailable(error)
    }
  }
  return {
    options: pool.options,
    connect,
    async end() {
      const patience = new AbortController()
      const tooLong = pause(closeTimeoutMs, 'too long' as const, { signal: patience.signal }).catch(() => undefined)
      const outcome = await Promise.race([pool.end(), tooLong])
      patience.abort()
      if (outcome !== 'too long') return
      log.warn({ connections: open.size }, 'database connections are still in use; closing them')
      await Promise.all([...open].map((client) => closeClient(client)))
    },
    async ping() {
      const client = await connect()
      let broken = true
      try {
        await client.query('select 1', [])
        broken = false
      } finally {
        client.release(broken)
      }
    },
  }
}

const isBusy = (error: unknown): boolean => error instanceof Error && error.message === 'timeout exceeded when trying to connect'

/** Makes the settings when the session is ours alone. One statement: it sets nothing on a pooled backend. */
async function settleSession(client: pg.PoolClient): Promise<{ direct: boolean }> {
  const result = await client.query<{ direct: boolean }>(
    `select case when direct then set_config('search_path', '${schemaName}', false) end,
            case when direct then set_config('statement_timeout', '${statementTimeoutMs}', false) end,
            direct
       from (select pg_backend_pid() = ${toldProcessId(client)} as direct) as session`,
  )
  return { direct: result.rows[0]?.direct === true }
}

/** How a statement begins that every call asks; see `often` in query.ts. */
export const oftenMark = '/* often */'
const names = new Map<string, { name: string }>()

/**
 * A name makes the session keep a statement read and planned, which halves the time of a short one. Only where the session is
 * ours alone, and only for the few statements that ask for it: their texts are constant, so sessions keep a handful.
 */
function nameFor(text: string): { name: string } | undefined {
  if (!text.startsWith(oftenMark)) return undefined
  const known = names.get(text) ?? { name: `often_${names.size + 1}` }
  names.set(text, known)
  return known
}

const beginning = /^\s*(begin|start transaction)\b/i
const rollingBack = /^\s*rollback\s*$/i
const committing = /^\s*commit\b/i
const nothing = { command: 'ROLLBACK', rowCount: 0, rows: [], oid: 0, fields: [] } satisfies pg.QueryResult

/** One borrowed connection, with the promises above. */
function guard(client: pg.PoolClient, direct: boolean, onLoss: (error: unknown) => void): PostgresPoolClient {
  let lost: unknown
  const noteLoss = (error: unknown): void => {
    if (lost === undefined) onLoss(error)
    lost ??= error
  }
  client.on('error', noteLoss)

  const send = async (text: string, values: readonly unknown[]): Promise<pg.QueryResult> => {
    // The transaction ended with its connection; an error here would hide the first one.
    if (lost !== undefined && rollingBack.test(text)) return nothing
    if (lost !== undefined) throw new DatabaseUnavailable(lost)
    const outcomeUnknown = committing.test(text) || client.getTransactionStatus() === 'I'
    try {
      return await client.query({ ...(direct && nameFor(text)), text, values: [...values] })
    } catch (error) {
      if (!isConnectionLoss(error)) throw error
      noteLoss(error)
      throw new DatabaseUnavailable(error, outcomeUnknown)
    }
  }
  const sendAlone = async (text: string, values: readonly unknown[]): Promise<pg.QueryResult> => {
    await send(`begin; ${localSettings}`, [])
    try {
      const result = await send(text, values)
      await send('commit', [])
      return result
    } catch (error) {
      await send('rollback', [])
      throw error
    }
  }
  function query<R>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<R>>
  function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>
  function query(text: string | PostgresCursor<unknown>, values: readonly unknown[] = []): unknown {
    if (typeof text !== 'string') throw new Error('This pool offers no cursors.')
    if (beginning.test(text)) return send(`${text}; ${localSettings}`, [])
    return direct || client.getTransactionStatus() !== 'I' ? send(text, values) : sendAlone(text, values)
  }
  return {
    query,
    release(destroy) {
      client.off('error', noteLoss)
      client.release(destroy === true || lost !== undefined)
    },
  }
}
