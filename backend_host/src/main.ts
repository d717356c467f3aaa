import process from 'node:process'
import { type Agent, buildAgent } from './app.ts'
import { type Config, ConfigError, readConfig } from './config.ts'
import { driversOf } from './drivers-of.ts'
import { DataFolderBusy } from './process/data-lock.ts'

/** The whole orderly stop; a supervisor kills after 25 s. */
const stopLimitMs = 24_000

/** Ends with a sentence for the operator; the environment's values are never part of it. */
function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

function readConfigOrFail(): Config {
  try {
    return readConfig(process.env)
  } catch (error) {
    if (error instanceof ConfigError) return fail(error.message)
    throw error
  }
}

async function main(): Promise<void> {
  const config = readConfigOrFail()
  const isSource = import.meta.filename.endsWith('.ts')
  const agent = await buildAgent({
    config,
    // Scripts resolve the packages of this repository the same way as the agent does.
    node: { execPath: process.execPath, args: isSource ? ['-C', 'source'] : [] },
    createDriver: driversOf(config),
  })
  stopOnSignals(agent)
  await agent.start()
}

const sameSignalMs = 1000

function stopOnSignals(agent: Agent): void {
  let stoppingSince: number | undefined
  const stop = (signal: NodeJS.Signals): void => {
    if (stoppingSince !== undefined) {
      // One Ctrl-C arrives twice when npm passes on what the terminal sent already.
      if (performance.now() - stoppingSince < sameSignalMs) return
      process.exit(1)
    }
    stoppingSince = performance.now()
    agent.log.info({ signal }, 'signal received')
    setTimeout(() => process.exit(0), stopLimitMs).unref()
    agent.drain().then(
      () => process.exit(0),
      (error: unknown) => {
        agent.log.error({ err: error }, 'orderly stop failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  // Whoever reads the log may go away; that is no reason to end the runs.
  process.stdout.on('error', () => undefined)
}

main().catch((error: unknown) => {
  if (error instanceof DataFolderBusy) fail(error.message)
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  fail(`The host agent cannot start: ${text}`)
})
