import { type HeartbeatAnswer, type HoldLease, leaseRoutes } from '@virtualpytest/shared'
import { type Database, inTransaction } from '../../db/database.ts'
import type { Caller } from '../../http/caller.ts'
import type { Mount } from '../../http/mount.ts'
import { writeAudit } from '../audit/index.ts'
import { findAsk, openAsks, showAsk } from './ask.store.ts'
import { answerAsk } from './ask-holder.ts'
import { holderOf } from './holder.ts'
import { listLeases, readLease } from './lease.view.ts'
import { readLeaseSettings, writeLeaseSettings } from './lease-settings.ts'
import { beatLease, extendLease, type LeaseUse, leaveLease } from './use-lease.ts'

export interface LeaseRouteOptions {
  db: Database
  authMode: 'open' | 'required'
  /** Devices became free: waiting runs may start. */
  onFreed: () => void
}

export function mountLeaseRoutes(mount: Mount, { db, authMode, onFreed }: LeaseRouteOptions): void {
  const useOf = createUse(authMode)

  mount(leaseRoutes.list, async ({ caller, query }) => ({
    success: true,
    leases: await listLeases(db, {
      teamId: caller.teamId,
      status: query.status,
      hostName: query.host_name,
      deviceKey: query.device_id,
      limit: query.limit,
    }),
  }))

  mount(leaseRoutes.heartbeat, async ({ params, body, caller }) =>
    answerHeartbeat(db, useOf(caller, params.lease_id, body), body.active),
  )

  mount(leaseRoutes.extend, async ({ params, body, caller }) => {
    await inTransaction(db, (tx) => extendLease(tx, { ...useOf(caller, params.lease_id, body), seconds: body.seconds }))
    return { success: true, lease: await readLease(db, params.lease_id) }
  })

  mount(leaseRoutes.leave, async ({ params, body, caller }) => {
    await inTransaction(db, (tx) => leaveLease(tx, useOf(caller, params.lease_id, body)))
    onFreed()
    return { success: true, lease: await readLease(db, params.lease_id) }
  })

  mount(leaseRoutes.readAsk, async ({ params, caller }) => ({
    success: true,
    ask: showAsk(await findAsk(db, { id: params.ask_id, teamId: caller.teamId })),
  }))

  mount(leaseRoutes.answerAsk, async ({ params, body, caller }) => {
    const ask = await inTransaction(db, (tx) =>
      answerAsk(tx, { ...useOf(caller, params.ask_id, body), give: body.give, message: body.message ?? null }),
    )
    if (body.give) onFreed()
    return { success: true, ask: showAsk(ask) }
  })

  mount(leaseRoutes.readSettings, async ({ caller }) => ({
    success: true,
    settings: await readLeaseSettings(db, caller.teamId),
  }))

  mount(leaseRoutes.writeSettings, async ({ body, caller, request }) => {
    await inTransaction(db, async (tx) => {
      const before = await readLeaseSettings(tx, caller.teamId)
      await writeLeaseSettings(tx, caller.teamId, body)
      await writeAudit(tx, { caller, action: 'lease.settings', requestId: request.id, details: { before, after: body } })
    })
    return { success: true, settings: body }
  })
}

const createUse =
  (authMode: 'open' | 'required') =>
  (caller: Caller, id: string, body: Parameters<typeof holderOf>[1]): LeaseUse => ({
    id,
    teamId: caller.teamId,
    holder: holderOf(caller, body),
    byAddress: authMode === 'open',
  })

async function answerHeartbeat(db: Database, use: LeaseUse, active: boolean, secondsAgo = 0): Promise<HeartbeatAnswer> {
  const lease = await inTransaction(db, (tx) => beatLease(tx, { ...use, active, secondsAgo }))
  const asks = lease.status === 'held' ? await openAsks(db, [lease.id]) : []
  return { success: true, lease: await readLease(db, lease.id), asks: asks.map(showAsk) }
}

/** The heartbeat as a socket sends it for its client. */
export function createSocketBeat({ db, authMode }: Pick<LeaseRouteOptions, 'db' | 'authMode'>) {
  const useOf = createUse(authMode)
  return (caller: Caller, body: HoldLease, secondsAgo: number): Promise<HeartbeatAnswer> =>
    answerHeartbeat(db, useOf(caller, body.lease_id, body), body.active, secondsAgo)
}
