import { deviceHealthRoutes, LabError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Database, inTransaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'
import type { Mount } from '../../http/mount.ts'
import { writeAudit } from '../audit/index.ts'
import { listHealthChanges, readHealth } from '../device-health/index.ts'
import { beginCheck, type CheckOrder } from './health-check.store.ts'
import type { HealthChecks } from './health-checks.ts'

export function mountHealthCheckRoutes(mount: Mount, { db, checks }: { db: Database; checks: HealthChecks }): void {
  async function requireDevice(caller: Caller, params: { host_name: string; device_id: string }): Promise<CheckOrder['device']> {
    const device = await firstRow(
      db,
      sql<CheckOrder['device']>`
        select d.id, d.device_key as key, d.name, d.model, h.id as "hostId", h.name as "hostName"
          from devices d join hosts h on h.id = d.host_id
         where d.team_id = ${caller.teamId} and h.name = ${params.host_name} and d.device_key = ${params.device_id} and h.status <> 'retired'`,
    )
    if (!device) throw new LabError('device_not_found', { errorType: 'device_not_found' })
    return device
  }

  mount(deviceHealthRoutes.check, async ({ params, caller, request }) => {
    const device = await requireDevice(caller, params)
    const run = await inTransaction(db, async (tx) => {
      const order = { teamId: caller.teamId, device, source: 'manual' as const, requestedBy: caller.name, requestedIp: caller.ip }
      const begun = await beginCheck(tx, order)
      await writeAudit(tx, {
        caller,
        action: 'device.check',
        targetKind: 'device',
        targetId: `${device.hostName}:${device.key}`,
        requestId: request.id,
        details: { run_id: begun.id },
      })
      return begun
    })
    checks.perform(run)
    return { success: true, run_id: run.id, path: `/server/runs/${run.id}` }
  })

  mount(deviceHealthRoutes.read, async ({ params, query, caller }) => {
    const { id: deviceId } = await requireDevice(caller, params)
    const history = await listHealthChanges(db, { deviceId, before: query.before, limit: query.limit })
    return {
      success: true,
      health: await readHealth(db, deviceId),
      history,
      next_before: history.length === query.limit ? (history.at(-1)?.id ?? null) : null,
    }
  })
}
