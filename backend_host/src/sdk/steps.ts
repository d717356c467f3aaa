import { callAgent } from './agent-client.ts'
import { isCheckFailure, textOf } from './failures.ts'

export type StepOptions = {
  kind?: 'action' | 'verification' | 'block'
  /** Whether the agent takes a picture at the end; it does unless told otherwise. */
  screenshot?: boolean
}

/**
 * Runs one step of the test. It passes when `work` returns; a failed check makes it failed, anything else an error.
 * What `work` throws goes on to the caller, so that a failed step ends the script unless the script says otherwise.
 */
export async function step<Result>(
  name: string,
  work: () => Result | Promise<Result>,
  options: StepOptions = {},
): Promise<Result> {
  const { position } = await callAgent<{ position: number }>('/run/steps', { name, kind: options.kind ?? 'block' })
  const started = performance.now()

  async function finish(outcome: 'passed' | 'failed' | 'error', message: string | null): Promise<void> {
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    process.stdout.write(`[${outcome}] ${position}. ${name} (${seconds} s)${message === null ? '' : `: ${message}`}\n`)
    await callAgent<unknown>(`/run/steps/${position}/finish`, { outcome, message, screenshot: options.screenshot ?? true })
  }

  let result: Result
  try {
    result = await work()
  } catch (cause) {
    // The reason of the failure counts more than trouble while reporting it.
    await finish(isCheckFailure(cause) ? 'failed' : 'error', textOf(cause)).catch((trouble: unknown) => {
      process.stderr.write(`The step could not be reported: ${textOf(trouble)}\n`)
    })
    throw cause
  }
  await finish('passed', null)
  return result
}
