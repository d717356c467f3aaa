import { setTimeout as pause } from 'node:timers/promises'
import { Kysely, PostgresDialect } from 'kysely'
import { isWorthRetrying } from './errors.ts'
import { type EventsHint, insertEvents, type NewEvent } from './events.ts'
import type { Log } from './log.ts'
import { openPool } from './pool.ts'
import type { Queryable } from './query.ts'
import type { DB } from './schema.generated.ts'

export { DatabaseUnavailable, isDataException, isUniqueViolation } from './errors.ts'
export type { EventsHint, NewEvent } from './events.ts'
export type { Log } from './log.ts'
export type { Queryable } from './query.ts'

/*
 * The one door to the database.
 *
 * Names need no schema: every statement, built by Kysely or written with its `sql` template, inside a transaction or not,
 * runs with search_path = virtualpytest (pool.ts keeps that promise, also behind a transaction pooler, without ever
 * changing a session that others may get). Functions of other schemas must be named in full. All statements are unnamed.
 * Values: value-types.ts. Arrays are sent as PostgreSQL arrays, so JSON values go through JSON.stringify.
 *
 * Limits: 5 s for a connection, 30 s for a statement, 30 s of silence inside a transaction. Whatever means "the database is
 * away" is thrown as DatabaseUnavailable and answered as 503.
 */

export interface DatabaseOptions {
  /** postgresql://user:password@host:port/name?sslmode=... */
  url: string
  maxConnections?: number
  log: Log
}

export interface Database extends Queryable {
  readonly kysely: Kysely<DB>
  /** Throws DatabaseUnavailable when the database does not answer. */
  ping(): Promise<void>
  /** Called after each commit of this process that wrote events. A hint only: other servers write events too. */
  onEvents(listener: (hint: EventsHint) => void): () => void
  /** Waits up to 5 s for what is running, then closes every connection. */
  close(): Promise<void>
}

export interface Transaction extends Queryable {
  readonly kysely: Kysely<DB>
  /** Keeps the event until just before the commit; nothing is announced when the transaction fails. */
  emit(event: NewEvent): void
}

export interface TransactionOptions {
  isolation?: 'read committed' | 'repeatable read' | 'serializable'
}

const commitListeners = new WeakMap<Database, (hint: EventsHint) => void>()

/** Does not connect: a server may start before its database. Throws at once when the URL cannot be one. */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = openPool({ url: options.url, maxConnections: options.maxConnections ?? 5, log: options.log })
  const kysely = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })
  const listeners = new Set<(hint: EventsHint) => void>()
  const database: Database = {
    kysely,
    ping: () => pool.ping(),
    onEvents(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: () => pool.end(),
  }
  commitListeners.set(database, (hint) => {
    for (const listener of listeners) {
      try {
        listener(hint)
      } catch (error) {
        options.log.error({ err: error }, 'a listener for events failed')
      }
    }
  })
  return database
}

const maxRetries = 3

/**
 * Runs `work` in one transaction. After a serialization failure or a deadlock it is run again, up to three times, so it must
 * be repeatable: no effect outside the transaction except through what it returns.
 *
 * Events are written by one statement right before the commit. They take their numbers from a counter row whose lock lasts
 * until the commit, so numbers have no gaps and their order is the order of commits: who has seen n has seen all before n.
 */
export async function inTransaction<T>(
  db: Database,
  work: (tx: Transaction) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await runOnce(db, work, options)
    } catch (error) {
      if (attempt === maxRetries || !isWorthRetrying(error)) throw error
      // Growing and uneven, so that the same two transactions do not meet again at the same moment.
      await pause(10 * 2 ** attempt * (0.5 + Math.random()))
    }
  }
}

async function runOnce<T>(db: Database, work: (tx: Transaction) => Promise<T>, options: TransactionOptions): Promise<T> {
  const events: NewEvent[] = []
  let hint: EventsHint | undefined
  let builder = db.kysely.transaction()
  if (options.isolation) builder = builder.setIsolationLevel(options.isolation)
  const result = await builder.execute(async (kysely) => {
    const answer = await work({ kysely, emit: (event) => void events.push(event) })
    if (events.length > 0) hint = await insertEvents(kysely, events)
    return answer
  })
  if (hint) commitListeners.get(db)?.(hint)
  return result
}
