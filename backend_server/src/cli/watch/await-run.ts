import { setTimeout as sleep } from 'node:timers/promises'
import { type Run, runRoutes } from '@virtualpytest/shared'
import type { ApiClient } from '../api-client.ts'
import { CliError, exitCodes } from '../cli-error.ts'
import { onSignals } from '../on-signals.ts'
import { note, say, sayJson } from '../terminal.ts'
import { type EndedRun, followRun } from './follow-run.ts'
import type { RunScreen } from './listeners.ts'
import { verdictLines } from './show-run.ts'

export interface AwaitOptions {
  screen: RunScreen
  /** How the end is shown; `silent`: by the exit code only. */
  json: 'none' | 'object' | 'lines' | 'silent'
  withLog: boolean
  patienceMs: number
  /** Ctrl-C cancels a run that this command started, and only leaves one that it looks at. */
  ownsRun: boolean
}

const reportWaitMs = 3000

/** Follows a run and the attempts that replace it to the end, prints the verdict and returns it as exit code. */
export async function awaitRun(api: ApiClient, runId: string, options: AwaitOptions): Promise<number> {
  const { screen, json } = options
  const leaving = new AbortController()
  const forget = options.ownsRun ? cancelOnSignals(api, () => current) : leaveOnSignals(leaving)
  let current = runId
  try {
    let ended = await followRun(api, current, { ...options, listener: screen, signal: leaving.signal })
    for (let next = await nextAttempt(api, ended.run); next; next = await nextAttempt(api, ended.run)) {
      screen.onTrouble(
        `Attempt ${ended.run.attempt} ended by ${ended.run.error_code ?? 'an error of the lab'}; attempt ${next.attempt} follows: ${next.id}`,
      )
      current = next.id
      ended = await followRun(api, current, { ...options, listener: screen, signal: leaving.signal })
    }
    ended = await withReport(api, ended)
    screen.close()
    showEnd(api, ended, json)
    return exitCodeOf(ended.run)
  } finally {
    screen.close()
    forget()
  }
}

export function exitCodeOf(run: Run): number {
  return run.status === 'passed' || run.status === 'failed' || run.status === 'cancelled'
    ? exitCodes[run.status]
    : exitCodes.error
}

function showEnd(api: ApiClient, { run, steps, artifacts }: EndedRun, json: AwaitOptions['json']): void {
  const reportUrl = run.report_url === null ? null : api.link(run.report_url)
  const result = { success: run.status === 'passed', verdict: run.status, report_url: reportUrl, run, steps, artifacts }
  if (json === 'object') sayJson(result)
  else if (json === 'lines') say(JSON.stringify({ type: 'result', ...result }))
  else if (json === 'none') for (const line of verdictLines(run, steps, reportUrl)) say(line)
}

/** The report is written just after the end; its address is worth a moment, but not an error. */
async function withReport(api: ApiClient, ended: EndedRun): Promise<EndedRun> {
  const until = performance.now() + reportWaitMs
  let { run, artifacts } = ended
  try {
    while (run.report_url === null && performance.now() < until) {
      await sleep(100)
      ;({ run, artifacts } = await api.call(runRoutes.read, { params: { run_id: run.id } }))
    }
  } catch (error) {
    if (!(error instanceof CliError)) throw error
  }
  return { ...ended, run, artifacts }
}

/** An end by infrastructure starts a new run while the retry policy has attempts left; it exists as soon as the old one has ended. */
async function nextAttempt(api: ApiClient, run: Run): Promise<Run | undefined> {
  if (run.status !== 'error' || run.failure_class !== 'infrastructure' || run.retries_left === 0) return undefined
  const { runs } = await api.call(runRoutes.list, {
    query: { host_name: run.host_name, device_id: run.device_id, name: run.name, limit: 100 },
  })
  return runs.find((one) => one.retry_of === run.id)
}

function cancelOnSignals(api: ApiClient, runId: () => string): () => void {
  return onSignals(['SIGINT', 'SIGTERM'], (count) => {
    if (count > 1) process.exit(130)
    note('Cancelling the run … (once more leaves it alone)')
    api
      .call(runRoutes.cancel, { params: { run_id: runId() }, body: { reason: 'cancelled at the terminal' } })
      .catch((error: unknown) => {
        const hasEnded = error instanceof CliError && error.answer?.code === 'run_finished'
        if (!hasEnded) note(`It could not be cancelled: ${error instanceof Error ? error.message : String(error)}`)
      })
  })
}

function leaveOnSignals(leaving: AbortController): () => void {
  return onSignals(['SIGINT', 'SIGTERM'], (count) => {
    if (count > 1) process.exit(130)
    leaving.abort(new CliError('Stopped looking; the run goes on.', { exitCode: 130 }))
  })
}
