import type { RunErrorCode, TaskComplete } from '@virtualpytest/shared'
import { LabError } from '@virtualpytest/shared'
import type { Config } from '../../config.ts'
import type { AttemptOutbox } from '../../outbox/attempt-outbox.ts'
import { type Command, type Exit, startProcess } from '../../process/run-process.ts'
import {
  findScript,
  interpreterFor,
  type NodeRuntime,
  ParameterError,
  type ScriptFile,
  splitParameters,
} from '../scripts/index.ts'
import { artifactFolder, collectFiles } from './collect-files.ts'
import { type LiveRun, processTags, stopRun } from './live-run.ts'
import { errorVerdict, judge, judgeStop, readMarker, type Verdict } from './verdict.ts'

/** What the result carries of the log; all of it is delivered as lines. */
const tailBytes = 64 * 1024
/** Longest time a timer can be set for. */
const longestTimerMs = 2 ** 31 - 1

export interface ExecutionContext {
  config: Config
  node: NodeRuntime
  /** Base URL at which scripts reach this agent. */
  agentUrl: () => string
  /** Time of the server as far as it is known, in ms: deadlines are the server's. */
  serverNow: () => number
}

/** Runs one attempt to its end and puts its result into the outbox. Never rejects. */
export async function executeRun(run: LiveRun, context: ExecutionContext): Promise<void> {
  const startedAt = performance.now()
  let ended: { verdict: Verdict; exit?: Exit; script?: ScriptFile }
  try {
    ended = await execute(run, context)
  } catch (cause) {
    run.log.error({ err: cause }, 'run failed inside the agent')
    ended = { verdict: errorVerdict('host_error', 'The host agent failed while it executed the run.') }
  }
  const { verdict, exit, script } = ended
  run.state = 'ended'
  run.commands.abort(new Error('The run has ended.'))
  run.steps.closeOpen('The script ended during this step.')
  await collectFiles(run.outbox, run.log).catch((cause: unknown) =>
    run.log.warn({ err: cause }, 'files of the run not collected'),
  )
  const details = { exit, script, executionTimeMs: Math.round(performance.now() - startedAt) }
  await finishRun(run.outbox, context.config.hostName, verdict, details).catch((cause: unknown) =>
    run.log.error({ err: cause }, 'result could not be written to disk; it is delivered from memory'),
  )
  run.log.info({ outcome: verdict.outcome, error_code: verdict.error_code, exit_code: exit?.code }, 'run ended')
}

async function execute(run: LiveRun, context: ExecutionContext): Promise<{ verdict: Verdict; exit?: Exit; script?: ScriptFile }> {
  if (run.stop) return { verdict: judgeStop(run.stop) }
  if (remainingMs(run, context) <= 0) return { verdict: judgeStop({ kind: 'deadline' }) }
  let script: ScriptFile
  let command: Command
  try {
    script = await findScript(context.config.scriptsDir, run.order.script_name)
    command = commandFor(run, script, context)
  } catch (cause) {
    if (cause instanceof LabError) return { verdict: errorVerdict('script_not_found', cause.message) }
    if (cause instanceof ParameterError) return { verdict: errorVerdict('script_start_failed', cause.message) }
    throw cause
  }
  // Looking for the script took time, in which the run may have been stopped.
  if (run.stop) return { verdict: judgeStop(run.stop), script }
  const started = await startProcess(command, (lines) => takeLines(run, lines)).catch((cause: unknown) => {
    run.log.warn({ err: cause }, 'script could not be started')
    return cause instanceof Error ? cause : new Error(String(cause))
  })
  if (started instanceof Error) {
    const reason = (started as NodeJS.ErrnoException).code ?? started.message
    return { verdict: errorVerdict('script_start_failed', `The script could not be started: ${reason}`), script }
  }
  run.process = started
  run.state = 'running'
  run.log.info({ pid: started.pid, script: script.name }, 'run started')
  // A stop that came while the process was being started found nothing to stop.
  const stopped = run.stop ? started.stop() : undefined
  const deadline = armDeadline(run, context)
  try {
    await run.outbox.markStarted({ pid: started.pid, start_time: started.startTime ?? null }).catch((cause: unknown) => {
      run.log.warn({ err: cause }, 'process of the run not recorded')
    })
    await stopped
    const exit = await started.ended
    return { verdict: judge(run.stop, exit, run.marker), exit, script }
  } finally {
    deadline.disarm()
  }
}

async function takeLines(run: LiveRun, lines: string[]): Promise<void> {
  if (run.marker === undefined) {
    for (const line of lines) {
      run.marker = readMarker(line)
      if (run.marker !== undefined) break
    }
  }
  await run.outbox.appendLines(lines)
}

function commandFor(run: LiveRun, script: ScriptFile, { config, node, agentUrl }: ExecutionContext): Command {
  const { order } = run
  const program = interpreterFor(script.file, node)
  const device = config.devices.find((one) => one.deviceId === order.device_id)
  return {
    file: program.file,
    args: [...program.args, ...splitParameters(order.parameters)],
    cwd: config.scriptsDir,
    tags: processTags(order),
    env: {
      ...config.scriptEnv,
      VPT_AGENT_URL: agentUrl(),
      VPT_RUN_ID: order.run_id,
      VPT_RUN_KEY: run.key,
      VPT_DEVICE_ID: order.device_id,
      VPT_DEVICE_MODEL: device?.model ?? '',
      VPT_HOST_NAME: config.hostName,
      VPT_LEASE_TOKEN: String(order.token),
      VPT_ARTIFACTS_DIR: artifactFolder(run.outbox),
    },
  }
}

const remainingMs = (run: LiveRun, { serverNow }: ExecutionContext): number => {
  const deadline = Date.parse(run.order.deadline_at)
  // Without a readable deadline the server's sweep ends the run.
  return Number.isNaN(deadline) ? Number.POSITIVE_INFINITY : deadline - serverNow()
}

/** Looks at the time again when the timer fires: what is known of the server's clock may have changed meanwhile. */
function armDeadline(run: LiveRun, context: ExecutionContext): { disarm(): void } {
  let timer: NodeJS.Timeout | undefined
  const arm = (): void => {
    const restMs = remainingMs(run, context)
    if (restMs <= 0) stopRun(run, { kind: 'deadline' })
    else timer = setTimeout(arm, Math.min(restMs, longestTimerMs))
  }
  arm()
  return { disarm: () => clearTimeout(timer) }
}

/** Puts the result of an attempt into its outbox, in the shape of the protocol. */
export async function finishRun(
  outbox: AttemptOutbox,
  hostName: string,
  verdict: Verdict,
  details: { exit?: Exit | undefined; script?: ScriptFile | undefined; executionTimeMs: number | null },
): Promise<void> {
  const { order, log } = outbox
  const stdout = await log.tail(tailBytes)
  const result: TaskComplete = {
    task_id: order.task_id,
    host_name: hostName,
    token: order.token,
    result: {
      // As on original hosts, what the script wrote to stderr is part of stdout.
      stdout,
      stderr: '',
      exit_code: details.exit?.code ?? null,
      script_name: order.script_name,
      device_id: order.device_id,
      script_path: details.script?.file ?? null,
      parameters: order.parameters,
      execution_time_ms: details.executionTimeMs,
      report_url: null,
      logs_url: null,
      script_success: verdict.script_success,
      outcome: verdict.outcome,
      error_code: verdict.error_code satisfies RunErrorCode | undefined,
      error_message: verdict.error_message,
      total_lines: log.count,
    },
    ...(verdict.outcome === 'error' && { error: verdict.error_message }),
  }
  await outbox.finish(result)
}
