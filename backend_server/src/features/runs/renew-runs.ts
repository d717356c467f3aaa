import { leaseSeconds, type RunOrder } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { rowsOf } from '../../db/query.ts'
import type { BeatLeases, RenewRuns } from '../hosts/index.ts'
import { type RunRow, runColumns, runOrder } from './run.store.ts'

/**
 * What beats do for runs: every named lease that is still the run's lives 30 s longer, every other one is reported as lost,
 * and runs assigned to the host that its beat does not name are sent again, because their order never arrived.
 */
export const renewRuns: RenewRuns = async (tx, hosts) => {
  const agents = hosts.filter((host) => host.isAgent)
  const answers = new Map<string, BeatLeases>(agents.map((host) => [host.hostId, { lostLeases: [], runs: [] }]))
  if (agents.length === 0) return answers
  const named = agents.flatMap(({ hostId, leases }) => leases.map((lease) => ({ host_id: hostId, ...lease })))
  const renewed = new Set<string>()
  if (named.length > 0) {
    const rows = await rowsOf(
      tx,
      sql<{ id: string; lease_token: number }>`
        with named as (
          select * from jsonb_to_recordset(${JSON.stringify(named)}::jsonb) as n(host_id uuid, run_id uuid, token bigint)
        ), alive as (
          update runs r set alive_until = now() + make_interval(secs => ${leaseSeconds.run})
            from named n
           where r.id = n.run_id and r.host_id = n.host_id and r.lease_token = n.token and r.status in ('assigned', 'running')
          returning r.id, r.lease_id, r.lease_token
        ), kept as (
          update leases l set expires_at = greatest(l.expires_at, now() + make_interval(secs => ${leaseSeconds.run})), last_activity_at = now()
            from alive a where l.id = a.lease_id and l.status = 'held'
        )
        select id, lease_token from alive`,
    )
    for (const row of rows) renewed.add(`${row.id} ${row.lease_token}`)
  }
  for (const lease of named) {
    if (renewed.has(`${lease.run_id} ${lease.token}`)) continue
    const { host_id: hostId, ...lost } = lease
    answers.get(hostId)?.lostLeases.push({ ...lost, reason: 'the run has ended or its device was given to another' })
  }
  for (const order of await missingOrders(tx, agents, renewed)) answers.get(order.hostId)?.runs.push(order.order)
  return answers
}

async function missingOrders(
  tx: Parameters<RenewRuns>[0],
  agents: readonly { hostId: string }[],
  renewed: ReadonlySet<string>,
): Promise<{ hostId: string; order: RunOrder }[]> {
  const assigned = await rowsOf(
    tx,
    sql<RunRow>`
      select ${runColumns} from runs
       where host_id = any(${agents.map((host) => host.hostId)}::uuid[]) and status = 'assigned' and cancel_requested_at is null
         and assigned_at < now() - interval '2 seconds' and alive_until > now()`,
  )
  return assigned
    .filter((run) => !renewed.has(`${run.id} ${run.lease_token}`))
    .map((run) => ({ hostId: run.host_id ?? '', order: runOrder(run) }))
}
