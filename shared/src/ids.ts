import { z } from 'zod'

/** The team of every lab that never asked for teams; the original product uses the same id. */
export const defaultTeamId = '7fdeb4bb-3639-4ec3-959f-b54769a219ce'

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i

/**
 * The team named by the query value(s) `team_id`: the first value that starts with a UUID, cut after it.
 * The web app sends it twice, empty, or with a tail (`<uuid>?v=17`, `<uuid>/<id>`). Undefined when there is none.
 */
export function parseTeamId(value: unknown): string | undefined {
  const values = Array.isArray(value) ? value : [value]
  for (const one of values) {
    const match = typeof one === 'string' ? uuidPattern.exec(one.trim()) : null
    if (match) return match[0].toLowerCase()
  }
  return undefined
}

/** Identity of a host, chosen by its operator: unique on a server. */
export const HostName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{C}/\\?#%]+$/u, 'may not contain control characters or / \\ ? # %')
/** Key of a device on its host: `host` or `device1`..`device12` on real hosts. */
export const DeviceId = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{C}/\\?#%]+$/u, 'may not contain control characters or / \\ ? # %')
/** ISO 8601 with offset. */
export const Timestamp = z.string()
/** `team_id` in a query is lenient (see parseTeamId), so the schema accepts anything and the caller resolves it. */
export const TeamQuery = z.object({ team_id: z.unknown().optional().describe('UUID of the team; the default team when absent') })
