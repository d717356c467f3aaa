import { sql } from 'kysely'
import type { Database } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import { type ListingFlags, listHosts } from './host.view.ts'

/*
 * getAllHosts is the most asked and largest answer, and it changes only when a host, device or lease does. It is kept as
 * ready bytes together with the version of those tables (listing_versions), and sent only after the version was read again
 * in a query that began after the request arrived. So it is never stale, also when another server wrote; requests that
 * arrive together share one such query.
 */
const largestCache = 300

interface Kept {
  version: number
  bytes: Buffer
}

export function createHostListing(db: Database) {
  const kept = new Map<string, Kept>()
  const building = new Map<string, Promise<Buffer>>()
  let asking: Promise<number> | undefined
  let next: Promise<number> | undefined

  async function askVersion(): Promise<number> {
    const row = await firstRow(db, sql<{ version: number }>`select version from listing_versions where name = 'hosts'`)
    return row?.version ?? 0
  }

  /** The answer of a query that starts after this call: the running one may have looked too early. */
  function currentVersion(): Promise<number> {
    if (!asking) {
      asking = askVersion().finally(() => {
        asking = undefined
      })
      return asking
    }
    next ??= asking
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return currentVersion()
      })
    return next
  }

  return async function listing(teamId: string, flags: ListingFlags): Promise<Buffer> {
    const key = `${teamId} ${flags.includeActions} ${flags.includeSystemStats}`
    const version = await currentVersion()
    const found = kept.get(key)
    if (found?.version === version) return found.bytes
    const buildKey = `${key} ${version}`
    const underWay = building.get(buildKey)
    if (underWay) return underWay
    // The version was read before the rows, so the bytes are at least as new as it says.
    const build = listHosts(db, teamId, flags)
      .then((hosts) => {
        const bytes = Buffer.from(JSON.stringify(hosts))
        if (kept.size >= largestCache) kept.clear()
        kept.set(key, { version, bytes })
        return bytes
      })
      .finally(() => building.delete(buildKey))
    building.set(buildKey, build)
    return build
  }
}
export type HostListing = ReturnType<typeof createHostListing>
