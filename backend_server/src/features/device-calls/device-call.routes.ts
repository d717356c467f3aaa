import { type DeviceTarget, desktopRoutes, LabError } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Database, inTransaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'
import type { Mount } from '../../http/mount.ts'
import { writeAudit } from '../audit/index.ts'
import type { HostClient } from '../hosts/index.ts'
import { admitCall, type CallPolicy, describeCommand } from './admit-call.ts'
import { callDevice } from './call-device.ts'
import { type CallTarget, findTarget } from './find-target.ts'
import { type ForwardedCall, forwardedCalls, limitOf } from './forwarded-calls.ts'
import { asHostAddress, assertOwnImage, withMedia } from './host-media.ts'

export interface DeviceCallOptions extends CallPolicy {
  db: Database
  hosts: HostClient
  apiKey: string | undefined
}

/** What every call to a device says of its target, in the body or, as some clients do, in the query. */
export type TargetRequest = { body?: DeviceTarget; query: { host_name?: string; device_id?: string } }

export function readTarget(
  db: Database,
  caller: Caller,
  { body, query }: TargetRequest,
  options: { browser?: boolean } = {},
): Promise<CallTarget> {
  const hostName = body?.host_name ?? query.host_name
  if (!hostName) throw new LabError('host_required')
  const deviceKey = body?.device_id ?? query.device_id
  return findTarget(db, { teamId: caller.teamId, hostName, deviceKey, browser: options.browser ?? false })
}

export function mountDeviceCallRoutes(mount: Mount, options: DeviceCallOptions): void {
  const { db } = options
  for (const call of forwardedCalls) mountForwarded(mount, options, call)

  mount(desktopRoutes.allowShell, async ({ params, body, caller, request }) => {
    await inTransaction(db, async (tx) => {
      const host = await firstRow(
        tx,
        sql`
          update hosts set shell_allowed = ${body.allowed}, updated_at = now()
           where name = ${params.host_name} and team_id = ${caller.teamId} and status <> 'retired' returning id`,
      )
      if (!host) throw new LabError('host_not_found', { text: `Host "${params.host_name}" not found` })
      await writeAudit(tx, {
        caller,
        action: body.allowed ? 'host.shell_allowed' : 'host.shell_forbidden',
        targetKind: 'host',
        targetId: params.host_name,
        reason: body.reason,
        requestId: request.id,
      })
    })
    return { success: true, host_name: params.host_name, allowed: body.allowed }
  })
}

function mountForwarded(mount: Mount, options: DeviceCallOptions, call: ForwardedCall): void {
  const { route } = call
  const action = route.path.replace('/server/', '').replaceAll('/', '.')
  mount(route, async ({ body: parsed, query, caller, request }) => {
    const body = parsed as DeviceTarget & Record<string, unknown>
    const target = await readTarget(
      options.db,
      caller,
      { body, query: query as TargetRequest['query'] },
      { browser: call.browser },
    )
    const { host_name: _host, device_id: _device, session_id: _session, user_id: _user, token: _token, ...fields } = body
    if (typeof fields.image_source_url === 'string') {
      assertOwnImage(fields.image_source_url, target.host)
      fields.image_source_url = asHostAddress(fields.image_source_url, target.host)
    }
    await admitCall(options, {
      caller,
      identity: body,
      target,
      effect: route.effect,
      commands: commandsOf(call, fields),
      audit: { action, details: describeCommand(fields) },
      request,
    })
    const answer = await callDevice(options, target, {
      method: call.method,
      path: call.path,
      body: fields,
      timeoutMs: limitOf(call, fields),
    })
    return withMedia(answer.body, target.host)
  })
}

/** Every command of the bash controller is a shell, whatever it is called. */
function commandsOf(call: ForwardedCall, { command }: Record<string, unknown>): string[] {
  if (call.route === desktopRoutes.bash) return ['execute_bash_command']
  return typeof command === 'string' ? [command] : []
}
