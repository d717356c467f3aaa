import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { runRoutes } from '@virtualpytest/shared'
import { type Command, InvalidArgumentError } from 'commander'
import { type Answer, type ApiClient, createApiClient } from '../api-client.ts'
import { CliError } from '../cli-error.ts'
import { readCliConfig } from '../config.ts'
import { note, paint, plain, sayJson } from '../terminal.ts'
import { awaitRun } from '../watch/await-run.ts'
import { jsonScreen, liveScreen, quietScreen } from '../watch/listeners.ts'
import { deviceAddress, examples, patienceMs, wholeNumber } from './options.ts'

interface RunOptions {
  device: { host_name: string; device_id: string }
  param?: string[]
  args?: string
  watch?: boolean
  log: boolean
  queue?: boolean
  detach?: boolean
  timeout?: number
  retries?: number
  idempotencyKey?: string
  json?: boolean
}

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .summary('run a script on a device and wait for its verdict')
    .description(
      'Runs a script on a device and waits for its end. The exit code is the verdict:\n0 passed, 1 failed, 2 error (the lab, not the test), 3 cancelled, 4 refused or no connection.\nCtrl-C cancels the run.',
    )
    .argument('<script>', 'name of the script, as vpt scripts lists it')
    .requiredOption('-d, --device <host:device>', 'where to run it, as vpt devices lists it', deviceAddress)
    .option('-p, --param <key=value>', 'parameter of the script; may be repeated', collectParameter)
    .option('--args <text>', 'more arguments, written as in a shell')
    .option('-w, --watch', 'show steps and log while it runs')
    .option('--no-log', 'with --watch: only steps, no log lines')
    .option('-q, --queue', 'wait for a busy device instead of giving up')
    .option('--detach', 'do not wait for the end; prints the id of the run')
    .option('-t, --timeout <seconds>', 'end the script after this time', wholeNumber(1, 86_400))
    .option('--retries <number>', 'new attempts when the lab (not the test) breaks down', wholeNumber(0, 5))
    .option('--idempotency-key <key>', 'starting twice with the same key starts one run')
    .option('--json', 'print the result as JSON; with --watch one object a line')
    .addHelpText(
      'after',
      examples(
        'vpt run zapping.ts --device demo-host:device1 --watch',
        'vpt run zapping.ts -d demo-host:device1 -p channels=5 --queue',
        'vpt run web-smoke.ts -d demo-host:host --json > result.json',
        'VPT_SERVER=https://lab.example.org VPT_TOKEN=... vpt run menu -d rack-3:device2',
      ),
    )
    .action(async (script: string, options: RunOptions) => {
      const api = createApiClient(readCliConfig())
      const started = await submit(api, script, options)
      if (options.detach) {
        if (options.json) sayJson(started)
        else {
          process.stdout.write(`${started.run_id}\n`)
          note(paint('dim', `${started.run_status}; follow it with: vpt watch ${started.run_id.slice(0, 8)}`, process.stderr))
        }
        return
      }
      const json = !options.json ? 'none' : options.watch ? 'lines' : 'object'
      const address = `${options.device.host_name}:${options.device.device_id}`
      if (json === 'none')
        note(
          `${paint('bold', plain(script), process.stderr)} on ${plain(address)} ${paint('dim', `· run ${started.run_id}`, process.stderr)}`,
        )
      const screen = json === 'lines' ? jsonScreen() : options.watch ? liveScreen() : quietScreen()
      process.exitCode = await awaitRun(api, started.run_id, {
        screen,
        json,
        withLog: Boolean(options.watch) && options.log,
        patienceMs,
        ownsRun: true,
      })
    })
}

const submitTries = 4

/** A repeated submit with the same key starts nothing twice, so a connection that broke in the middle can be tried again. */
async function submit(api: ApiClient, script: string, options: RunOptions): Promise<Answer<typeof runRoutes.execute>> {
  const body = {
    ...options.device,
    script_name: script,
    parameters: [...(options.param ?? []), options.args ?? ''].filter(Boolean).join(' '),
    // Names the person where login is off; a token says it better and wins on the server.
    user_id: `${userInfo().username}@${hostname()}`,
    queue: options.queue ?? false,
    ...(options.timeout !== undefined && { timeout_seconds: options.timeout }),
    ...(options.retries !== undefined && { retries: options.retries }),
  }
  const headers = { 'idempotency-key': options.idempotencyKey ?? randomUUID() }
  for (let attempt = 1; ; attempt++) {
    try {
      return await api.call(runRoutes.execute, { body, headers })
    } catch (error) {
      if (attempt === submitTries || !mayHaveArrived(error)) throw error
      await sleep(attempt * 500)
    }
  }
}

const mayHaveArrived = (error: unknown): boolean =>
  error instanceof CliError &&
  (error.status === 0
    ? !error.message.includes('connection refused')
    : ['not_ready', 'database_unavailable'].includes(error.answer?.code ?? ''))

function collectParameter(text: string, earlier: string[] = []): string[] {
  const [, key, value] = /^-{0,2}([A-Za-z][\w-]*)(?:=([\s\S]*))?$/.exec(text) ?? []
  if (key === undefined) throw new InvalidArgumentError('It must look like key=value, or key alone for a switch.')
  return [
    ...earlier,
    value === undefined
      ? `--${key}`
      : value === '' || value.startsWith('-')
        ? `--${key}=${quote(value)}`
        : `--${key} ${quote(value)}`,
  ]
}

/** The server takes arguments as one text, written as in a shell. */
const quote = (value: string): string => (/^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`)
