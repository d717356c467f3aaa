import { leaseRoutes } from '@virtualpytest/shared'
import type { Database } from '../../db/database.ts'
import type { Mount } from '../../http/mount.ts'
import { listLeases } from './lease.view.ts'

export function mountLeaseRoutes(mount: Mount, { db }: { db: Database }): void {
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
}
