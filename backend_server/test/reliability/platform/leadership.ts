import { sql } from 'kysely'
import type { Database } from '../../../src/db/database.ts'
import { firstRow } from '../../../src/db/query.ts'
import type { Instance } from './platform.ts'

/*
 * Who led when. The samples come from the database, the writes from the wire between each container and the database.
 */

export interface LeaderSample {
  at: number
  holder: string
  term: number
  isValid: boolean
  connections: number
  connectionsByInstance: Record<string, number>
}

export async function sampleLeader(db: Database): Promise<LeaderSample> {
  const row = await firstRow(
    db,
    sql<Omit<LeaderSample, 'at'> & { connectionsByInstance: Record<string, number> | null }>`
      select l.holder, l.term, l.expires_at > clock_timestamp() as "isValid", c.total as connections, c.parts as "connectionsByInstance"
        from leader_leases l, lateral (
          select coalesce(sum(n), 0)::int as total, json_object_agg(name, n) as parts from (
            select application_name as name, count(*)::int as n from pg_stat_activity
             where datname = current_database() and application_name like 'instance-%' group by 1) as counted
        ) as c
       where l.name = 'background'`,
  )
  if (!row) throw new Error('nobody has ever led')
  return { ...row, at: Date.now(), connectionsByInstance: row.connectionsByInstance ?? {} }
}

export interface LeadershipReport {
  problems: string[]
  terms: number
  writes: number
  /** Longest time in which the samples saw no valid leader. */
  longestGapMs: number
}

export function judgeLeadership(samples: readonly LeaderSample[], instances: readonly Instance[]): LeadershipReport {
  const problems: string[] = []
  const ownerOf = new Map<string, string>()
  for (const { name, tap } of instances) {
    for (const { holder } of tap.statements) {
      if (holder === undefined) continue
      const known = ownerOf.get(holder)
      if (known !== undefined && known !== name) problems.push(`${known} and ${name} both call themselves ${holder}`)
      ownerOf.set(holder, name)
    }
  }

  const holderOf = new Map<number, string>()
  let lastTerm = 0
  let gapSince: number | undefined
  let longestGapMs = 0
  for (const { at, holder, term, isValid } of samples) {
    const known = holderOf.get(term)
    if (known !== undefined && known !== holder) problems.push(`term ${term} belonged to ${known} and to ${holder}`)
    holderOf.set(term, holder)
    if (term < lastTerm) problems.push(`term ${term} came after ${lastTerm}`)
    lastTerm = Math.max(lastTerm, term)
    if (isValid) gapSince = undefined
    else gapSince ??= at
    if (gapSince !== undefined) longestGapMs = Math.max(longestGapMs, at - gapSince)
  }

  const writes = instances
    .flatMap(({ name, tap }) => tap.statements.filter(({ kind }) => kind === 'write').map((one) => ({ ...one, name })))
    .toSorted((one, other) => one.at - other.at)
  let highest = 0
  for (const { name, term = 0 } of writes) {
    const holder = holderOf.get(term)
    if (holder === undefined) problems.push(`${name} wrote under term ${term}, which no sample saw`)
    else if (ownerOf.get(holder) !== name) problems.push(`${name} wrote under term ${term} of ${ownerOf.get(holder)}`)
    if (term < highest) problems.push(`${name} wrote under term ${term} after a write under ${highest}`)
    highest = Math.max(highest, term)
  }
  return { problems, terms: holderOf.size, writes: writes.length, longestGapMs }
}
