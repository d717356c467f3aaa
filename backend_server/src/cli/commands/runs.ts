import { type Run, runRoutes } from '@virtualpytest/shared'
import type { Command } from 'commander'
import { createApiClient } from '../api-client.ts'
import { readCliConfig } from '../config.ts'
import { paint, plain, say, sayJson, sayTable } from '../terminal.ts'
import { showDuration, showTime } from '../units.ts'
import { awaitRun } from '../watch/await-run.ts'
import { jsonScreen, liveScreen, logScreen } from '../watch/listeners.ts'
import { statusStyle, stepLines, verdictLines } from '../watch/show-run.ts'
import { deviceAddress, examples, patienceMs, wholeNumber } from './options.ts'
import { resolveRunId, runArgument } from './resolve-run.ts'

interface ListOptions {
  status?: string
  device?: { host_name: string; device_id: string }
  script?: string
  limit: number
  json?: boolean
}

export function addRunsCommands(program: Command): void {
  program
    .command('runs')
    .summary('list runs, newest first')
    .description('Lists runs, newest first.')
    .option('-s, --status <list>', 'only these: queued, assigned, running, passed, failed, error, cancelled, or open')
    .option('-d, --device <host:device>', 'only this device', deviceAddress)
    .option('--script <name>', 'only this script')
    .option('-n, --limit <number>', 'how many', wholeNumber(1, 500), 20)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples('vpt runs', 'vpt runs --status open', 'vpt runs --status failed,error -d demo-host:device1 -n 5'),
    )
    .action(async ({ status, device, script, limit, json }: ListOptions) => {
      const api = createApiClient(readCliConfig())
      const answer = await api.call(runRoutes.list, {
        query: { limit, ...(status !== undefined && { status }), ...device, ...(script !== undefined && { name: script }) },
      })
      if (json) sayJson(answer)
      else sayTable(answer.runs, columns, 'There is no such run.')
    })

  program
    .command('show')
    .summary('show one run with its steps')
    .description('Shows one run: verdict, steps, report and files.')
    .argument('<run>', runArgument)
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt show last', 'vpt show 3f1c2a7e --json'))
    .action(async (text: string, { json }: { json?: boolean }) => {
      const api = createApiClient(readCliConfig())
      const answer = await api.call(runRoutes.read, { params: { run_id: await resolveRunId(api, text) } })
      if (json) {
        sayJson(answer)
        return
      }
      const { run, steps, artifacts } = answer
      for (const line of verdictLines(run, steps, run.report_url === null ? null : api.link(run.report_url))) say(line)
      say(`  ${paint('dim', 'run')}     ${run.id}`)
      say(
        `  ${paint('dim', 'queued')}  ${showTime(run.queued_at)}${run.requested_by ? ` by ${plain(run.requested_by)}` : ''}${run.attempt > 1 ? `, attempt ${run.attempt}` : ''}`,
      )
      if (run.parameters) say(`  ${paint('dim', 'with')}    ${plain(run.parameters)}`)
      if (steps.length > 0) say()
      for (const step of steps) for (const line of stepLines(step)) say(line)
      const files = artifacts.filter((artifact) => artifact.kind !== 'report' && artifact.kind !== 'screenshot')
      if (files.length > 0) say()
      for (const file of files) say(`${plain(file.name)}  ${paint('dim', api.link(file.url))}`)
    })

  program
    .command('watch')
    .summary('follow a run that goes on')
    .description('Follows a run to its end, like vpt run --watch; the exit code is the verdict. Ctrl-C only stops looking.')
    .argument('<run>', runArgument)
    .option('--no-log', 'only steps, no log lines')
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', examples('vpt watch last', 'vpt watch 3f1c2a7e --no-log'))
    .action(async (text: string, { log, json }: { log: boolean; json?: boolean }) => {
      const api = createApiClient(readCliConfig())
      const runId = await resolveRunId(api, text)
      const screen = json ? jsonScreen() : liveScreen()
      process.exitCode = await awaitRun(api, runId, {
        screen,
        json: json ? 'lines' : 'none',
        withLog: log,
        patienceMs,
        ownsRun: false,
      })
    })

  program
    .command('cancel')
    .summary('cancel a run that waits or goes on')
    .description('Cancels a run that waits or goes on.')
    .argument('<run>', runArgument)
    .option('--reason <text>', 'why, for whoever looks at the run later')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt cancel last', 'vpt cancel 3f1c2a7e --reason "wrong device"'))
    .action(async (text: string, { reason, json }: { reason?: string; json?: boolean }) => {
      const api = createApiClient(readCliConfig())
      const answer = await api.call(runRoutes.cancel, {
        params: { run_id: await resolveRunId(api, text) },
        body: { reason: reason ?? 'cancelled at the terminal' },
      })
      if (json) sayJson(answer)
      else say(answer.run.status === 'cancelled' ? 'Cancelled.' : 'Asked the host to stop it; it ends within seconds.')
    })
}

export function addLogCommand(program: Command): void {
  program
    .command('log')
    .summary('print the log of a run')
    .description('Prints what the script of a run wrote.')
    .argument('<run>', runArgument)
    .option('-f, --follow', 'go on until the run has ended; the exit code is then the verdict')
    .option('--json', 'print JSON: all lines, or with --follow one object a line')
    .addHelpText('after', examples('vpt log last', 'vpt log last --follow', 'vpt log 3f1c2a7e | grep -i error'))
    .action(async (text: string, { follow, json }: { follow?: boolean; json?: boolean }) => {
      const api = createApiClient(readCliConfig())
      const runId = await resolveRunId(api, text)
      if (follow) {
        process.exitCode = await followLog(api, runId, Boolean(json))
        return
      }
      const all: string[] = []
      for (let after = 0; ; ) {
        const page = await api.call(runRoutes.log, { params: { run_id: runId }, query: { after, limit: 10_000 } })
        if (json) all.push(...page.lines)
        else writeLines(page.lines)
        if (page.lines.length < 10_000) break
        after = page.next_after
      }
      if (json) sayJson({ success: true, run_id: runId, lines: all })
    })
}

async function followLog(api: ReturnType<typeof createApiClient>, runId: string, json: boolean): Promise<number> {
  const screen = json ? jsonScreen() : logScreen(writeLines)
  return awaitRun(api, runId, { screen, json: json ? 'lines' : 'silent', withLog: true, patienceMs, ownsRun: false })
}

/** A pipe gets every byte the script wrote; a terminal gets nothing that would move its cursor. */
function writeLines(lines: readonly string[]): void {
  for (const line of lines) say(process.stdout.isTTY ? plain(line) : line)
}

const columns = [
  { title: 'RUN', value: (run: Run) => run.id.slice(0, 8) },
  { title: 'STATUS', value: (run: Run) => run.status, style: (run: Run) => statusStyle[run.status] },
  { title: 'SCRIPT', value: (run: Run) => run.name },
  { title: 'DEVICE', value: (run: Run) => `${run.host_name}:${run.device_id}` },
  { title: 'QUEUED', value: (run: Run) => showTime(run.queued_at) },
  { title: 'TOOK', value: (run: Run) => (run.duration_ms === null ? '' : showDuration(run.duration_ms)), right: true },
  {
    title: 'WHY',
    value: (run: Run) => (run.status === 'passed' ? '' : (run.error_code ?? run.error_message?.slice(0, 60) ?? '')),
  },
]
