import { type DeviceHolder, deviceRoutes, LabError } from '@virtualpytest/shared'
import { type Database, inTransaction } from '../../db/database.ts'
import type { Caller } from '../../http/caller.ts'
import type { Mount } from '../../http/mount.ts'
import { writeAudit } from '../audit/index.ts'
import { askHolder, holderOf, placeInLine, showAsk, shownHolder } from '../leases/index.ts'
import type { RunRow } from '../runs/index.ts'
import { listHolders, listStatusChanges } from './device-holder.view.ts'
import { changeDeviceStatus, type DeviceRow, findDevice, type TakeAwayLeases } from './device-status.store.ts'

export interface DeviceRouteOptions {
  db: Database
  authMode: 'open' | 'required'
  /** `tellHosts` is called with the runs that this cancels after the commit. */
  takeAwayLeases: TakeAwayLeases
  tellHosts: (cancelled: readonly RunRow[]) => void
  onFreed: () => void
}

interface DeviceParams {
  host_name: string
  device_id: string
}

export function mountDeviceRoutes(mount: Mount, options: DeviceRouteOptions): void {
  const { db } = options
  const byAddress = options.authMode === 'open'
  const viewerOf = (caller: Caller) => ({ holder: holderOf(caller, {}), byAddress, isAdmin: caller.role === 'admin' })

  async function requireDevice(caller: Caller, params: DeviceParams): Promise<DeviceRow> {
    const device = await findDevice(db, { teamId: caller.teamId, hostName: params.host_name, deviceKey: params.device_id })
    if (!device) throw new LabError('device_not_found', { errorType: 'device_not_found' })
    return device
  }

  async function readHolder(caller: Caller, params: DeviceParams): Promise<DeviceHolder> {
    const query = { teamId: caller.teamId, hostName: params.host_name, deviceKey: params.device_id, viewer: viewerOf(caller) }
    const [device] = await listHolders(db, query)
    if (!device) throw new LabError('device_not_found', { errorType: 'device_not_found' })
    return device
  }

  mount(deviceRoutes.holders, async ({ query, caller }) => ({
    success: true,
    devices: await listHolders(db, { teamId: caller.teamId, hostName: query.host_name, viewer: viewerOf(caller) }),
  }))

  mount(deviceRoutes.holder, async ({ params, caller }) => ({ success: true, device: await readHolder(caller, params) }))

  mount(deviceRoutes.ask, async ({ params, body, caller, reply }) => {
    const device = await requireDevice(caller, params)
    const { ask, waiting, position } = await inTransaction(db, async (tx) => {
      const asked = await askHolder(tx, {
        teamId: caller.teamId,
        deviceId: device.id,
        asker: holderOf(caller, body),
        byAddress,
        message: body.message ?? null,
        priority: body.priority,
      })
      return { ...asked, position: await placeInLine(tx, device.id, asked.waiting.id) }
    })
    void reply.code(201)
    return { success: true, ask: showAsk(ask), waiting: { lease_id: waiting.id, position: position ?? 1 } }
  })

  mount(deviceRoutes.history, async ({ params, query, caller }) => {
    const device = await requireDevice(caller, params)
    const history = await listStatusChanges(db, { deviceId: device.id, before: query.before, limit: query.limit })
    return { success: true, history, next_before: history.length === query.limit ? (history.at(-1)?.id ?? null) : null }
  })

  mount(deviceRoutes.setStatus, async ({ params, body, caller, request }) => {
    const device = await requireDevice(caller, params)
    const runs = await inTransaction(db, async (tx) => {
      const change = { wanted: body.status, reason: body.reason, force: body.force, actor: caller.name ?? caller.ip }
      const { takenFrom, runs: ended } = await changeDeviceStatus(tx, device, change, options.takeAwayLeases)
      await writeAudit(tx, {
        caller,
        action: 'device.set_status',
        targetKind: 'device',
        targetId: `${device.host_name}:${device.device_key}`,
        reason: body.reason,
        requestId: request.id,
        details: { from: device.status, to: body.status, taken_from: takenFrom ? shownHolder(takenFrom) : null },
      })
      return ended
    })
    options.tellHosts(runs)
    options.onFreed()
    return { success: true, device: await readHolder(caller, params) }
  })
}
