import type { FastifyBaseLogger } from 'fastify'
import type { Database } from '../../db/database.ts'
import type { Readiness } from './readiness.ts'

/** Asks the database from time to time whether it is there, for health checks and for the jobs, which rest meanwhile. */
export function createDatabaseWatch(options: { db: Database; log: FastifyBaseLogger; readiness: Readiness; everyMs: number }) {
  const { db, log, readiness, everyMs } = options
  let timer: NodeJS.Timeout | undefined

  async function look(): Promise<void> {
    try {
      await db.ping()
      if (readiness.database !== 'connected') log.info({}, 'the database is back')
      readiness.database = 'connected'
    } catch (error) {
      if (readiness.database === 'connected') log.error({ err: error }, 'the database cannot be reached')
      readiness.database = 'disconnected'
    }
  }

  return {
    start() {
      timer = setInterval(() => void look(), everyMs)
    },
    stop: () => clearInterval(timer),
  }
}
