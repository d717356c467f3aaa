import { setTimeout as pause } from 'node:timers/promises'
import type { RunStep } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { sql } from 'kysely'
import { type Database, inTransaction } from '../../db/database.ts'
import { firstRow } from '../../db/query.ts'
import { findTarget } from '../device-calls/index.ts'
import type { RunRow } from '../runs/index.ts'
import { type Capabilities, type ExamineOptions, examineDevice } from './examine-device.ts'
import { endCheck, recordStep } from './health-check.store.ts'

export interface HealthCheckOptions extends ExamineOptions {
  db: Database
  log: FastifyBaseLogger
  onEnded: (run: RunRow) => void
}

export interface HealthChecks {
  /** Asks the host, in the background, for a check that was begun and committed. */
  perform: (run: RunRow) => void
  /** Waits for the checks that are under way, but not for a host that hangs: what is cut off is ended by the sweep of runs. */
  settle: () => Promise<void>
}

const settleMs = 5000

export function createHealthChecks(options: HealthCheckOptions): HealthChecks {
  const { db, log, onEnded } = options
  const underWay = new Set<Promise<void>>()

  async function perform(run: RunRow): Promise<void> {
    const found = await findTarget(db, {
      teamId: run.team_id,
      hostName: run.host_name,
      deviceKey: run.device_key,
      browser: false,
    })
    // The fence of the check's own lease, whatever was granted since: an agent refuses what was overtaken.
    const target = { ...found, device: { ...found.device, fence: run.lease_token ?? found.device.fence } }
    const announced = await firstRow(
      db,
      sql<{ capabilities: Capabilities | null }>`
        select registration->'device_capabilities' as capabilities from devices where id = ${run.device_id}`,
    )
    const steps: RunStep[] = []
    for await (const finding of examineDevice(options, { run, target, capabilities: announced?.capabilities ?? {} })) {
      steps.push(finding.step)
      if (!(await inTransaction(db, (tx) => recordStep(tx, run.id, finding)))) return
    }
    const ended = await inTransaction(db, (tx) => endCheck(tx, run.id, steps))
    if (!ended) return
    log.info(
      { run_id: run.id, host_name: run.host_name, device_id: run.device_key, status: ended.status, reason: ended.error_message },
      'health check ended',
    )
    onEnded(ended)
  }

  return {
    perform(run) {
      const done = perform(run)
        .catch((error: unknown) => log.warn({ err: error, run_id: run.id }, 'a health check broke off; the sweep ends it'))
        .finally(() => underWay.delete(done))
      underWay.add(done)
    },
    async settle() {
      await Promise.race([Promise.allSettled(underWay), pause(settleMs, undefined, { ref: false })])
    },
  }
}
