import { randomUUID } from 'node:crypto'
import type { RunStep } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Transaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import { insertArtifact, type NewArtifact } from '../artifacts/index.ts'
import { doubtBadDevice, judgeDevice } from '../device-health/index.ts'
import { claimDevice } from '../leases/index.ts'
import { deviceBusy, emitRun, finishRun, infrastructureEnd, lockRun, type RunRow, runColumns, storeSteps } from '../runs/index.ts'

export const checkName = 'health check'
/** More than all questions of a check together may take; who is still asking then was killed, and the sweep of runs ends it. */
const limitSeconds = 60

export interface CheckOrder {
  teamId: string
  device: { id: string; key: string; name: string | null; model: string | null; hostId: string; hostName: string }
  source: 'manual' | 'health'
  /** Who asks; null for the server itself. */
  requestedBy: string | null
  requestedIp: string | null
}

/**
 * Takes the free device and records the check as a run under way. A device that somebody has, or waits for, is refused with
 * who that is: a check never comes before people or runs.
 */
export async function beginCheck(tx: Transaction, order: CheckOrder): Promise<RunRow> {
  const { teamId, device } = order
  const id = randomUUID()
  const lease = await claimDevice(tx, {
    teamId,
    deviceId: device.id,
    holder: { kind: 'health_check', id, name: checkName, ip: null },
    purpose: order.requestedBy === null ? checkName : `${checkName} for ${order.requestedBy}`,
    seconds: limitSeconds,
  })
  if (!lease) throw await deviceBusy(tx, device.id)
  const run = await firstRow(
    tx,
    sql<RunRow>`
      insert into runs (id, team_id, kind, name, host_id, device_id, host_name, device_key, device_name, device_model, status, source,
                        requested_by, requested_ip, assigned_at, started_at, deadline_at, timeout_seconds, lease_id, lease_token)
      values (${id}, ${teamId}, 'health_check', ${checkName}, ${device.hostId}, ${device.id}, ${device.hostName}, ${device.key},
              ${device.name}, ${device.model}, 'running', ${order.source}, ${order.requestedBy}, ${order.requestedIp}, now(), now(),
              now() + make_interval(secs => ${limitSeconds}), ${limitSeconds}, ${lease.id}, ${lease.token})
      returning ${runColumns}`,
  )
  if (!run) throw new Error('an insert without condition returned no row')
  emitRun(tx, 'run.running', run)
  if (order.source === 'manual') {
    const actor = order.requestedBy ?? order.requestedIp ?? 'a person'
    await doubtBadDevice(tx, device.id, { reason: 'a check was asked for', actor, runId: id })
  }
  return run
}

/** Stores what one question came to. Undefined when the check was ended meanwhile, and there is nothing more to ask. */
export async function recordStep(
  tx: Transaction,
  runId: string,
  { step, picture }: { step: RunStep; picture?: NewArtifact | undefined },
): Promise<RunRow | undefined> {
  const run = await lockRun(tx, runId)
  if (run?.status !== 'running') return undefined
  if (picture) await insertArtifact(tx, picture)
  await storeSteps(tx, run, [step])
  return run
}

/** The verdict: the run ends, the device is free, and its health is what was found. A host that cannot be asked proves nothing. */
export async function endCheck(tx: Transaction, runId: string, steps: readonly RunStep[]): Promise<RunRow | undefined> {
  const unasked = steps.find((step) => step.outcome === 'error')
  const broken = steps.find((step) => step.outcome === 'failed')
  const sentence = (step: RunStep): string => `${step.name}: ${step.message ?? 'no'}`.slice(0, 1000)
  const ended = await finishRun(
    tx,
    runId,
    unasked
      ? infrastructureEnd({ code: 'host_error', message: sentence(unasked) })
      : broken
        ? { status: 'failed', failureClass: 'device', errorMessage: sentence(broken), result: { success: false } }
        : { status: 'passed', result: { success: true } },
  )
  if (ended?.device_id == null || unasked) return ended
  await judgeDevice(tx, ended.device_id, !broken, {
    reason: broken ? sentence(broken) : 'the health check passed',
    actor: ended.requested_by ?? checkName,
    runId,
  })
  return ended
}
