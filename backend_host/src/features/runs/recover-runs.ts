import { mkdir, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { AttemptOutbox } from '../../outbox/attempt-outbox.ts'
import { endProcesses, startTimeOf } from '../../process/processes.ts'
import { finishRun } from './execute-run.ts'
import { createLiveRun, type LiveRun, processTags } from './live-run.ts'
import { errorVerdict } from './verdict.ts'

/** A killed agent's scripts get less time to clean up: their results are lost anyway and their devices wait. */
const leftoverGraceMs = 2_000

/**
 * Finds what an earlier life of the agent left: ends the processes of its open attempts, reports these as
 * `host_restarted`, and returns every attempt that is still to be delivered. An attempt that had not been started is
 * reported too: whether it was cannot be told for certain, and a script must never run twice under one token.
 */
export async function recoverRuns(root: string, hostName: string, now: () => number, log: FastifyBaseLogger): Promise<LiveRun[]> {
  await mkdir(root, { recursive: true })
  const names = await readdir(root)
  const recovered = await Promise.all(names.map((name) => recoverRun(path.join(root, name), hostName, now, log)))
  return recovered.filter((run) => run !== undefined)
}

async function recoverRun(
  folder: string,
  hostName: string,
  now: () => number,
  log: FastifyBaseLogger,
): Promise<LiveRun | undefined> {
  const outbox = await AttemptOutbox.open(folder)
  if (!outbox) {
    log.warn({ folder: path.basename(folder) }, 'damaged attempt removed')
    await rm(folder, { recursive: true, force: true })
    return undefined
  }
  const run = createLiveRun(outbox, now, log)
  if (outbox.isEnded) return run
  const { order, startedProcess } = outbox
  // The group is only ours while its leader is the process that was recorded; later the number may mean another group.
  const isLeaderAlive = startedProcess?.start_time != null && startTimeOf(startedProcess.pid) === startedProcess.start_time
  const isGone = await endProcesses(
    { groupId: isLeaderAlive ? startedProcess.pid : undefined, tags: processTags(order) },
    leftoverGraceMs,
  )
  if (!isGone) run.log.error('processes of an earlier run cannot be ended')
  run.steps.closeOpen('The host agent was restarted during this step.')
  const verdict = errorVerdict('host_restarted', 'The host agent was restarted while the run was open.')
  await finishRun(outbox, hostName, verdict, { executionTimeMs: null })
  run.state = 'ended'
  run.log.warn('open run of an earlier life of the agent reported as host_restarted')
  return run
}
