import { z } from 'zod'
import type { Clock, CommandResult } from '../../drivers/driver.ts'
import type { Blocks } from '../blocks/index.ts'
import type { Device } from '../devices/index.ts'
import type { CheckContext } from '../verification/index.ts'
import type { BatchResult, Work } from './executions.ts'

const maxWaitMs = 60_000

export const Action = z.looseObject({
  command: z.string().max(200).nullish(),
  params: z.looseObject({}).nullish(),
  action_type: z.string().max(100).nullish(),
  verification_type: z.string().max(100).nullish(),
  iterator: z.number().nullish(),
  continue_on_fail: z.boolean().nullish(),
  name: z.string().max(300).nullish(),
  requiresInput: z.boolean().nullish(),
  inputValue: z.union([z.string(), z.number(), z.boolean()]).nullish(),
})
export type Action = z.infer<typeof Action>

export interface ActionBatch {
  device: Device
  actions: readonly Action[]
  retryActions: readonly Action[]
  failureActions: readonly Action[]
  context: CheckContext
  blocks: Blocks
  clock: Clock
  /** Keeps a picture of the device and gives its URL; null when there was none. */
  snapshot: (signal: AbortSignal) => Promise<string | null>
}

type Category = 'main' | 'retry' | 'failure'
type ActionResult = Record<string, unknown> & { success: boolean; message: string }

/** What hosts drop without a word: nothing to do, or an input that was never given. */
const isRunnable = (action: Action): boolean =>
  Boolean(action.command) &&
  !(
    action.requiresInput &&
    (action.inputValue === undefined || action.inputValue === null || action.inputValue === '') &&
    !hasInput(action)
  )

/** Clients put what was typed among the parameters too. */
const hasInput = (action: Action): boolean => Object.values(action.params ?? {}).some((value) => value !== '' && value != null)

/**
 * Main actions in turn; a failure stops them and starts the retry actions, which stop at their first failure; if one of
 * them failed, or there are none, the failure actions run. Passed: all main actions, or all retry actions.
 */
export function actionBatch(batch: ActionBatch): Work {
  const main = batch.actions.filter(isRunnable)
  const retry = batch.retryActions.filter(isRunnable)
  const failure = batch.failureActions.filter(isRunnable)
  return async (tell, signal) => {
    const startedAt = batch.clock.now()
    const results: ActionResult[] = []
    const logs: string[] = []
    const before = await batch.snapshot(signal)

    async function runAll(actions: readonly Action[], category: Category): Promise<boolean> {
      let isGood = true
      for (const [index, action] of actions.entries()) {
        tell(
          Math.round((index / actions.length) * 100),
          `${category} action ${index + 1} of ${actions.length}: ${action.command}`,
        )
        const result = await runAction(batch, action, category, signal)
        results.push(result)
        logs.push(`${category} ${action.command}: ${result.success ? 'passed' : 'failed'}: ${result.message}`)
        if (result.success) continue
        isGood = false
        if (!(category === 'main' && action.continue_on_fail)) break
      }
      return isGood
    }

    const isMainGood = await runAll(main, 'main')
    const isRetryGood = !isMainGood && retry.length > 0 && (await runAll(retry, 'retry'))
    const success = isMainGood || isRetryGood
    if (!success && failure.length > 0) await runAll(failure, 'failure')
    return summarize({ results, logs, before, success, isMainGood, total: main.length, ms: batch.clock.now() - startedAt })
  }
}

function summarize(done: {
  results: ActionResult[]
  logs: string[]
  before: string | null
  success: boolean
  isMainGood: boolean
  total: number
  ms: number
}): BatchResult {
  const { results, success, total } = done
  const passed = results.filter((one) => one.action_category === 'main' && one.success).length
  const failed = results.findLast((one) => !one.success)
  const message = success ? `${passed} of ${total} actions passed` : `Action failed: ${failed?.message ?? 'no action was run'}`
  return {
    success,
    message,
    error: success ? null : message,
    total_count: total,
    passed_count: passed,
    failed_count: total - passed,
    results,
    action_screenshots: results.map((one) => one.screenshot_path).filter((path) => typeof path === 'string'),
    before_action_screenshot: done.before,
    execution_time_ms: Math.round(done.ms),
    main_actions_succeeded: done.isMainGood,
    output_data: Object.assign({}, ...results.map((one) => one.output_data ?? {})) as Record<string, unknown>,
    logs: done.logs.join('\n'),
  }
}

async function runAction(batch: ActionBatch, action: Action, category: Category, signal: AbortSignal): Promise<ActionResult> {
  const { device, clock } = batch
  const command = action.command ?? ''
  const times = Math.min(100, Math.max(1, Math.round(action.iterator ?? 1)))
  const params = paramsOf(device, action)
  const startedAt = clock.now()
  const iterations: Record<string, unknown>[] = []
  let result: CommandResult = { success: false, message: 'Nothing was done' }
  for (let turn = 1; turn <= times; turn += 1) {
    signal.throwIfAborted()
    const turnAt = clock.now()
    result = await runOnce(batch, action, command, params, signal)
    iterations.push({
      iteration: turn,
      success: result.success,
      message: result.message,
      execution_time_ms: clock.now() - turnAt,
    })
    if (!result.success) break
    const waitMs = Number(action.params?.wait_time ?? 0)
    // For this command the same word is its time limit.
    if (command !== 'navigate_to_url' && waitMs > 0) await clock.sleep(Math.min(maxWaitMs, waitMs), signal)
  }
  const { success, message, error, output_data, execution_time: _time, ...details } = result
  return {
    success,
    message: action.name ? `${action.name}: ${message}` : message,
    error: success ? null : (error ?? message),
    resultType: success ? 'PASS' : 'FAIL',
    execution_time_ms: Math.round(clock.now() - startedAt),
    action_category: category,
    screenshot_path: await batch.snapshot(signal),
    action_timestamp: startedAt / 1000,
    iterations: times > 1 ? iterations : null,
    action_details: { command, params, ...details },
    output_data: output_data ?? {},
  }
}

function runOnce(
  { device, blocks, context }: ActionBatch,
  action: Action,
  command: string,
  params: Record<string, unknown>,
  signal: AbortSignal,
): Promise<CommandResult> {
  if (action.action_type === 'standard_block') return blocks.execute(command, params, signal)
  if (action.action_type === 'verification')
    return device.check({ command, kind: action.verification_type ?? undefined, params, context }, signal)
  return device.execute(command, params, signal)
}

/** What was typed beside the action goes to the parameter its definition names, unless the client has put it there. */
function paramsOf(device: Device, action: Action): Record<string, unknown> {
  const given = { ...action.params }
  if (action.inputValue == null || action.inputValue === '') return given
  const definitions = Object.values(device.definitions.device_action_types).flat()
  const name = definitions.find((one) => one.command === action.command && one.inputParam)?.inputParam
  return name === undefined || (given[name] != null && given[name] !== '') ? given : { ...given, [name]: action.inputValue }
}
