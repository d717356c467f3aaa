import { hostRoutes, LabError } from '@virtualpytest/shared'
import type { Config } from '../../config.ts'
import { type Database, inTransaction } from '../../db/database.ts'
import { answered, type Mount } from '../../http/mount.ts'
import { writeAudit } from '../audit/index.ts'
import { findHost, type HostRow, issueHostKey, registerHost } from './host.store.ts'
import { readDeviceActions, readHostData } from './host.view.ts'
import { createHostListing } from './host-listing.ts'
import { type EndRunsOfHost, unregisterHost } from './unregister-host.ts'
import { createBeatWriter, type RenewRuns } from './write-beats.ts'

export interface HostRouteOptions {
  db: Database
  config: Config
  serverUrl: () => string
  systemStats: () => Record<string, unknown>
  renewRuns: RenewRuns
  endRunsOfHost: EndRunsOfHost
  /** After the commit. */
  onRegistered: (host: HostRow) => void
}

export function mountHostRoutes(
  mount: Mount,
  { db, config, serverUrl, systemStats, renewRuns, endRunsOfHost, onRegistered }: HostRouteOptions,
): void {
  const writeBeat = createBeatWriter(db, renewRuns)
  const serverInfo = () => {
    const url = serverUrl()
    return { server_name: config.serverName, server_url: url, server_port: String(new URL(url).port || config.serverPort) }
  }
  const listing = createHostListing(db)
  const complete = (hosts: Buffer, withStats: boolean): Buffer => {
    const info = JSON.stringify({ ...serverInfo(), ...(withStats && { system_stats: systemStats() }) })
    return Buffer.concat([Buffer.from(`{"success":true,"server_info":${info},"hosts":`), hosts, closing])
  }
  /** The frequent form has nothing that moves besides the hosts, so its complete bytes live as long as theirs. */
  const answers = new WeakMap<Buffer, Buffer>()
  const keptAnswer = (hosts: Buffer): Buffer => {
    const known = answers.get(hosts) ?? complete(hosts, false)
    answers.set(hosts, known)
    return known
  }

  mount(hostRoutes.register, async ({ body, caller, request }) => {
    const host = await inTransaction(db, (tx) => registerHost(tx, caller, body))
    onRegistered(host)
    request.log.info({ host_name: host.name, devices: body.devices.length }, 'host registered')
    return {
      status: 'success',
      message: 'Host registered successfully',
      host_name: host.name,
      host_data: (await readHostData(db, host.team_id, host.name)) ?? {},
    }
  })

  mount(hostRoutes.ping, async ({ body, caller }) => {
    const answer = await writeBeat(caller, body)
    if (!answer.registered) throw new LabError('not_registered', { extra: { status: 'not_registered', action: 'register' } })
    return {
      status: 'success',
      message: 'Ping received successfully',
      server_time: Date.now() / 1000,
      lost_leases: answer.lostLeases,
      runs: answer.runs,
    }
  })

  mount(hostRoutes.unregister, async ({ body, caller, request }) => {
    await inTransaction(db, (tx) => unregisterHost(tx, caller, body, endRunsOfHost))
    request.log.info({ host_name: body.host_name }, 'host unregistered')
    return { status: 'success', message: 'Host unregistered successfully' }
  })

  mount(hostRoutes.getAllHosts, async ({ query, caller, reply }) => {
    const flags = { includeActions: query.include_actions === 'true', includeSystemStats: query.include_system_stats === 'true' }
    const hosts = await listing(caller.teamId, flags)
    void reply
      .header('content-type', 'application/json; charset=utf-8')
      .send(flags.includeSystemStats ? complete(hosts, true) : keptAnswer(hosts))
    return answered
  })

  mount(hostRoutes.getDeviceActions, async ({ query, caller }) => {
    const device = await readDeviceActions(db, { teamId: caller.teamId, hostName: query.host_name, deviceKey: query.device_id })
    if (!device) {
      const host = await findHost(db, caller.teamId, query.host_name)
      throw host
        ? new LabError('device_not_found')
        : new LabError('host_not_found', { text: `Host "${query.host_name}" not found` })
    }
    return { success: true, host_name: query.host_name, device_id: query.device_id, ...device }
  })

  mount(hostRoutes.addHost, async ({ body, caller, request }) => {
    const key = await inTransaction(db, async (tx) => {
      const issued = await issueHostKey(tx, caller.teamId, body.host_name)
      await writeAudit(tx, {
        caller,
        action: 'host.key_issued',
        targetKind: 'host',
        targetId: body.host_name,
        requestId: request.id,
      })
      return issued
    })
    return { success: true, host_name: body.host_name, key }
  })
}

const closing = Buffer.from('}')
