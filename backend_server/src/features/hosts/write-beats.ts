import type { PingHost, RunOrder } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Database, DatabaseUnavailable, inTransaction, type Transaction } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'
import {
  assertMaySpeakFor,
  emitHost,
  type HostRow,
  isOtherStart,
  otherAgentError,
  reviveDevices,
  storeDevices,
} from './host.store.ts'
import { silentAfter } from './mark-hosts-offline.job.ts'

/*
 * Beats of all hosts go through one writer: while one statement runs, the next beats gather, and they are written together.
 * So a thousand hosts cost a few transactions a second, and the answer of a beat is sent after its commit.
 */

export interface BeatLeases {
  lostLeases: { device_id: string; token: number; run_id: string; reason: string }[]
  /** Runs assigned to the host that its beat did not name: it never got them. */
  runs: RunOrder[]
}
export interface BeatAnswer extends BeatLeases {
  registered: boolean
}

/** What the runs feature does with the leases that beats name: by host id, renewed, lost, and missing ones. */
export type RenewRuns = (
  tx: Transaction,
  hosts: readonly { hostId: string; isAgent: boolean; leases: NonNullable<PingHost['leases']> }[],
) => Promise<Map<string, BeatLeases>>

interface WaitingBeat {
  caller: Caller
  body: PingHost
  resolve: (answer: BeatAnswer) => void
  reject: (error: unknown) => void
}

const largestBatch = 200

export function createBeatWriter(db: Database, renewRuns: RenewRuns) {
  let waiting: WaitingBeat[] = []
  let writing = false

  async function writeAll(): Promise<void> {
    if (writing) return
    writing = true
    try {
      while (waiting.length > 0) {
        const { batch, rest } = takeBatch(waiting)
        waiting = rest
        await writeBatch(batch)
      }
    } finally {
      writing = false
    }
  }

  async function writeBatch(batch: readonly WaitingBeat[]): Promise<void> {
    try {
      const answers = await inTransaction(db, (tx) => storeBeats(tx, batch, renewRuns))
      for (const beat of batch) {
        const answer = answers.get(beat.body.host_name)
        if (answer instanceof Error) beat.reject(answer)
        else beat.resolve(answer ?? { registered: false, lostLeases: [], runs: [] })
      }
    } catch (error) {
      // One bad beat must not cost the others theirs; without the database they would all fail, one slow try after another.
      if (batch.length === 1 || error instanceof DatabaseUnavailable) for (const beat of batch) beat.reject(error)
      else for (const beat of batch) await writeBatch([beat])
    }
  }

  return (caller: Caller, body: PingHost): Promise<BeatAnswer> =>
    new Promise((resolve, reject) => {
      waiting.push({ caller, body, resolve, reject })
      writeAll().catch(reject)
    })
}
export type BeatWriter = ReturnType<typeof createBeatWriter>

/** A batch holds one beat per host; a second one of the same host waits for the next batch. */
function takeBatch(waiting: readonly WaitingBeat[]): { batch: WaitingBeat[]; rest: WaitingBeat[] } {
  const names = new Set<string>()
  const batch: WaitingBeat[] = []
  const rest: WaitingBeat[] = []
  for (const beat of waiting) {
    if (batch.length < largestBatch && !names.has(beat.body.host_name)) {
      names.add(beat.body.host_name)
      batch.push(beat)
    } else rest.push(beat)
  }
  return { batch, rest }
}

type KnownHost = Pick<HostRow, 'id' | 'team_id' | 'name' | 'status' | 'key_hash' | 'agent' | 'boot_id' | 'registered_from'> & {
  is_silent: boolean
}

async function storeBeats(
  tx: Transaction,
  batch: readonly WaitingBeat[],
  renewRuns: RenewRuns,
): Promise<Map<string, BeatAnswer | Error>> {
  const answers = new Map<string, BeatAnswer | Error>()
  const known = await rowsOf(
    tx,
    sql<KnownHost>`
      select id, team_id, name, status, key_hash, agent, boot_id, registered_from,
             status = 'offline' or last_seen_at < now() - make_interval(secs => ${silentAfter}) as is_silent
        from hosts
       where name = any(${batch.map((beat) => beat.body.host_name)}::text[]) and status <> 'retired' and registered_at is not null
       order by id for no key update`,
  )
  const hosts = new Map(known.map((host) => [host.name, host]))
  const accepted = batch.flatMap((beat) => {
    const host = hosts.get(beat.body.host_name)
    if (!host) return []
    try {
      assertMaySpeakFor(beat.caller, { name: host.name, keyHash: host.key_hash })
      if (isOtherStart(host, beat.body.boot_id)) {
        if (!host.is_silent) throw otherAgentError(host)
        // Who took its place is gone, or the database was restored: what is stored of this host is not true of it.
        return []
      }
    } catch (error) {
      answers.set(host.name, error as Error)
      return []
    }
    return [{ host, body: beat.body }]
  })
  if (accepted.length === 0) return answers
  await storeStats(tx, accepted)

  // Runs and leases before devices: the order in which ending a run locks them, so that the two never wait for each other.
  const runs = await renewRuns(
    tx,
    accepted.map(({ host, body }) => ({ hostId: host.id, isAgent: host.agent !== null, leases: body.leases ?? [] })),
  )
  for (const { host, body } of accepted) {
    if (body.devices) await storeDevices(tx, host, body.devices, { merge: true })
  }
  // A device that this beat brought is as free as one of a host that is back.
  const changed = accepted.filter(({ host, body }) => host.status !== 'online' || body.devices)
  if (changed.length > 0)
    await reviveDevices(
      tx,
      changed.map(({ host }) => host.id),
    )
  for (const { host } of accepted) if (host.status !== 'online') emitHost(tx, 'host.online', host, { reason: 'ping' })
  for (const { host } of accepted) {
    answers.set(host.name, { registered: true, ...(runs.get(host.id) ?? { lostLeases: [], runs: [] }) })
  }
  return answers
}

/** Figures are merged, not replaced: a ping omits some that only the registration carries. */
async function storeStats(tx: Transaction, accepted: readonly { host: KnownHost; body: PingHost }[]): Promise<void> {
  const beats = accepted.map(({ host, body }) => ({
    id: host.id,
    stats: body.system_stats ?? {},
    metrics: body.per_device_metrics ?? null,
    period: body.ping_interval_s ?? null,
  }))
  await sql`
    update hosts h
       set last_seen_at = now(), status = 'online', status_reason = null, reachable = true,
           system_stats = h.system_stats || b.stats,
           device_metrics = coalesce(b.metrics, h.device_metrics),
           ping_interval_s = coalesce(b.period, h.ping_interval_s)
      from jsonb_to_recordset(${JSON.stringify(beats)}::jsonb) as b(id uuid, stats jsonb, metrics jsonb, period numeric)
     where h.id = b.id`.execute(tx.kysely)
}
