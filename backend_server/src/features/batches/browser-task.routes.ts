import { setTimeout as pause } from 'node:timers/promises'
import { webRoutes } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { inTransaction } from '../../db/database.ts'
import type { Mount } from '../../http/mount.ts'
import { admitCall, callDevice, type DeviceAnswer, describeCommand, readTarget } from '../device-calls/index.ts'
import { finishRun, infrastructureEnd, lockRun, type RunEnd, type RunRow, withoutNul } from '../runs/index.ts'
import { findBatch, insertBatch } from './batch.store.ts'
import { type BatchOptions, newRun, withFence } from './start-batch.ts'

export interface BrowserTaskOptions extends BatchOptions {
  serverUrl: () => string
  log: FastifyBaseLogger
}

const taskCommand = 'browser_use_task'
const commandTimeoutMs = 30_000
const taskTimeoutMs = 600_000
/** The task says nothing before its end, so it is trusted for its limit and the time its callback may take. */
const silentSeconds = taskTimeoutMs / 1000 + 300
const acceptMs = 10_000
const longestLogs = 64 * 1024
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Commands for a browser: answered at once, except the task that a language model on the host works on for minutes. */
export function mountBrowserRoutes(mount: Mount, options: BrowserTaskOptions): void {
  const { db, log } = options

  mount(webRoutes.executeCommand, async ({ body, query, caller, request, reply }) => {
    const target = await readTarget(db, caller, { body, query }, { browser: true })
    const { command, params } = body
    const audit = { action: 'web.executeCommand', details: describeCommand({ command, params }) }
    await admitCall(options, { caller, identity: body, target, effect: 'changes', commands: [command], audit, request })
    const call = { method: 'POST' as const, path: '/host/web/executeCommand' }
    if (command !== taskCommand) {
      const answer = await callDevice(options, target, {
        ...call,
        body: { command, params: params ?? {} },
        timeoutMs: commandTimeoutMs,
      })
      return answer.body as { success: boolean }
    }
    const labels = { main: [command] }
    const run = await inTransaction(db, (tx) =>
      insertBatch(tx, {
        ...newRun(options, { effect: 'changes', caller, identity: body, target, labels, metadata: { batch: 'browser_task' } }),
        kind: 'browser_task',
        labels,
        silentSeconds,
      }),
    )
    const callback = { task_id: run.id, callback_url: `${options.serverUrl()}/server/web/taskComplete` }
    const asked = callDevice(options, withFence(target, run), {
      ...call,
      body: { command, params: params ?? {}, ...callback },
      timeoutMs: taskTimeoutMs,
    }).then(
      (answer) => recordAnswer(run, answer),
      (error: unknown) => end(run.id, refusal(error instanceof Error ? error.message : 'The host could not be called.')),
    )
    // A host that works in the background says so at once; one that answers with the result is not waited for.
    const background = asked.catch((error: unknown) =>
      log.warn({ err: error, run_id: run.id }, 'a browser task was not recorded'),
    )
    await Promise.race([background, pause(acceptMs, undefined, { ref: false })])
    void reply.code(202)
    return {
      success: true as const,
      task_id: run.id,
      run_id: run.id,
      status: 'started' as const,
      message: 'Browser task started',
    }
  })

  mount(webRoutes.taskComplete, async ({ body, caller }) => {
    const known = uuid.test(body.task_id)
    const ended =
      known &&
      (await inTransaction(db, async (tx) => {
        const run = await lockRun(tx, body.task_id)
        if (run?.status !== 'running' || (await findBatch(tx, run.id))?.kind !== 'browser_task') return undefined
        if (caller.hostName !== null && caller.hostName !== run.host_name) return undefined
        return finishRun(tx, run.id, endOf(withoutNul({ ...body.result }), body.execution_logs, body.error))
      }))
    if (ended) options.onEnded(ended)
    return { success: true, message: ended ? 'Task completed' : 'The task is not open; nothing was changed' }
  })

  function recordAnswer(run: RunRow, { status, body }: DeviceAnswer): Promise<void> {
    if (status === 202) return Promise.resolve()
    return end(run.id, endOf(withoutNul(body), undefined, undefined))
  }

  async function end(runId: string, how: RunEnd): Promise<void> {
    const ended = await inTransaction(db, (tx) => finishRun(tx, runId, how))
    if (ended) options.onEnded(ended)
  }
}

const refusal = (message: string): RunEnd => infrastructureEnd({ code: 'dispatch_failed', message: message.slice(0, 1000) })

function endOf(result: Record<string, unknown>, logs: string | null | undefined, error: string | null | undefined): RunEnd {
  const text = error ?? (typeof result.error === 'string' ? result.error : undefined)
  const success = !text && result.success !== false
  const stdout = withoutNul(logs ?? '').slice(-longestLogs)
  const kept = { ...result, success, stdout }
  if (success) return { status: 'passed', result: kept }
  return { status: 'failed', failureClass: 'unknown', errorMessage: text ?? 'The browser task failed.', result: kept }
}
