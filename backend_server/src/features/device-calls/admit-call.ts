import { type DeviceCallEffect, type DeviceTarget, LabError, roleRank, shellCommands } from '@virtualpytest/shared'
import type { FastifyRequest } from 'fastify'
import type { Queryable } from '../../db/query.ts'
import type { Caller } from '../../http/caller.ts'
import { writeAudit } from '../audit/index.ts'
import { holderOf, type LeaseRow, listHeldLeases, ownsLease, touchLease } from '../leases/index.ts'
import type { CallTarget } from './find-target.ts'

export interface CallPolicy {
  db: Queryable
  authMode: 'open' | 'required'
  lockedError: (lease: LeaseRow) => LabError
}

export interface AskedCall {
  caller: Caller
  identity: DeviceTarget
  target: CallTarget
  effect: DeviceCallEffect
  /** Commands this call carries, for the check of shells. */
  commands: readonly string[]
  /** Written to the audit log for a call that changes something; no values that somebody may have typed. */
  audit: { action: string; details: Record<string, unknown> }
  request: FastifyRequest
}

/**
 * May this call go to its device? Reads always may. The rest needs the device free or held by the caller (or by a run of
 * theirs); where login is off nobody can be told apart for sure, so there the protocol refuses only the taking itself.
 * A call of the holder moves the lease on, and what changes something is written to the audit log before it happens.
 */
export async function admitCall(policy: CallPolicy, call: AskedCall): Promise<void> {
  const { target, caller, identity } = call
  if (target.host.status === 'offline') {
    throw new LabError('host_offline', { text: `Host "${target.host.name}" is offline.`, errorType: 'network_error' })
  }
  assertShellAllowed(call)
  assertToken(target, identity)
  const owner = isHolder(policy, call)
  if (target.lease && !owner && call.effect !== 'reads' && policy.authMode === 'required') throw policy.lockedError(target.lease)
  if (target.lease && owner && target.lease.holder_kind === 'user') await touchLease(policy.db, target.lease)
  if (call.effect !== 'changes') return
  await writeAudit(policy.db, {
    caller,
    action: call.audit.action,
    targetKind: 'device',
    targetId: `${target.host.name}:${target.device.key}`,
    requestId: call.request.id,
    details: call.audit.details,
  })
}

/** A poll of the holder is a sign of life too. */
export async function touchIfHolder(
  policy: CallPolicy,
  { caller, hostName, deviceKey }: { caller: Caller; hostName: string; deviceKey: string },
): Promise<void> {
  const [lease] = await listHeldLeases(policy.db, { teamId: caller.teamId, hostName, deviceKey })
  if (lease && ownsLease(lease, holderOf(caller, {}), policy.authMode === 'open')) await touchLease(policy.db, lease)
}

/** The caller named the lease it relies on: once that has ended, the call is refused whoever holds the device now. */
function assertToken(target: CallTarget, identity: DeviceTarget): void {
  if (identity.token != null && identity.token !== target.lease?.token) throw new LabError('stale_token')
}

type Asker = Pick<AskedCall, 'target' | 'caller' | 'identity'>

/** Is the device held by whoever calls, or by a run of theirs? */
export function isHolder(policy: CallPolicy, { target, caller, identity }: Asker): boolean {
  const { lease } = target
  if (!lease) return false
  if (lease.holder_kind === 'run') return caller.name !== null && lease.run_requested_by === caller.name
  return ownsLease(lease, holderOf(caller, identity), policy.authMode === 'open')
}

/** A shell is the host itself, not a device of it: off until an administrator allows it there, and for administrators only. */
function assertShellAllowed({ commands, caller, target }: AskedCall): void {
  const command = commands.find((one) => shellCommands.includes(one))
  if (command === undefined) return
  if (roleRank[caller.role] < roleRank.admin) {
    throw new LabError('forbidden', { text: `"${command}" runs code on the host; it needs the role admin.` })
  }
  if (!target.host.shell_allowed) {
    throw new LabError('shell_forbidden', {
      text: `Remote shells are not allowed on host "${target.host.name}". An administrator can allow them: PUT /server/hosts/${target.host.name}/shell.`,
    })
  }
}

/** What the audit log keeps of a command: its name and the names of its parameters, and of a shell what it was to run. */
export function describeCommand(body: Record<string, unknown>): Record<string, unknown> {
  const { command, params } = body
  const given = typeof params === 'object' && params !== null ? (params as Record<string, unknown>) : {}
  const isShell = typeof command === 'string' && shellCommands.includes(command)
  const shell = isShell ? (given.command ?? given.bash_command ?? given.code ?? given.app_name) : undefined
  return {
    ...(typeof command === 'string' && { command }),
    ...(Object.keys(given).length > 0 && { params: Object.keys(given).slice(0, 50) }),
    ...(typeof shell === 'string' && { shell: shell.slice(0, 500) }),
  }
}
