import type { FastifyBaseLogger } from 'fastify'
import { type Database, inTransaction } from '../../db/database.ts'
import { setReachable } from './host.store.ts'

/**
 * Remembers whether a host could be called. Good news is written again only now and then: each call brings some. Bad news always
 * is, for a ping may have denied it.
 */
export function createReachableNotes({ db, log, everyMs }: { db: Database; log: FastifyBaseLogger; everyMs: number }) {
  const reachedAt = new Map<string, number>()
  return function noteReachable(hostName: string, reachable: boolean): void {
    const now = performance.now()
    if (reachable && now - (reachedAt.get(hostName) ?? Number.NEGATIVE_INFINITY) < everyMs) return
    if (reachable) reachedAt.set(hostName, now)
    else reachedAt.delete(hostName)
    inTransaction(db, (tx) => setReachable(tx, hostName, reachable)).catch((error: unknown) =>
      log.debug({ err: error }, 'reachability not stored'),
    )
  }
}
