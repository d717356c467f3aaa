import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pino } from 'pino'
import type { LabServer } from './app.ts'
import { type Config, ConfigError, readConfig } from './config.ts'
import type { EmbeddedPostgres } from './db/embedded/index.ts'
import { keepYoungGenerationSmall, letYoungGenerationGrow } from './young-generation.ts'

/** A stop that takes longer than this ends anyway: platforms kill at 30 s, and a clean end must come before. */
const drainMs = 13_000
const sameSignalMs = 1000
/** The port must be open 2 s after the start, whatever the database does. */
const leastHeadStartMs = 1000

const config = readConfigOrExit()
const log = pino({
  level: config.logLevel,
  base: { service: 'server' },
  timestamp: pino.stdTimeFunctions.isoTime,
  // A net under the rule that nobody logs secrets.
  redact: {
    paths: ['*.authorization', '*.["x-api-key"]', '*.password', '*.token_secret', '*.call_key', 'req.headers'],
    censor: '[removed]',
  },
})

let embedded: EmbeddedPostgres | undefined
let server: LabServer | undefined
let stoppingSince: number | undefined

process.on('SIGTERM', () => stopSoon('SIGTERM'))
process.on('SIGINT', () => stopSoon('SIGINT'))
process.on('unhandledRejection', (error) => {
  log.fatal({ err: error }, 'unhandled rejection')
  stopSoon('unhandledRejection', 1)
})

// No top-level await: the container runs this bundled as one script.
start().catch((error: unknown) => {
  log.fatal({ err: error }, error instanceof Error ? error.message : 'the server could not start')
  stopSoon('start failed', 1)
})

async function start(): Promise<void> {
  mkdirSync(config.dataDir, { recursive: true })
  // Loaded from here, not from the top, so that memory is kept small before the modules are compiled.
  keepYoungGenerationSmall()
  const { buildApp } = await import('./app.ts')
  const { openDatabase } = await import('./db/database.ts')
  if (config.databaseUrl === undefined) {
    const { startEmbeddedPostgres } = await import('./db/embedded/index.ts')
    embedded = await startEmbeddedPostgres({
      dataDir: path.join(config.dataDir, 'postgres'),
      log,
      onExit: () => stopSoon('the embedded database ended', 1),
    })
  }
  const databaseUrl = config.databaseUrl ?? embedded?.url ?? ''
  const db = openDatabase({ url: databaseUrl, maxConnections: config.databaseConnections, log })
  server = await buildApp({ config, db, databaseUrl, log, showFirstToken })
  const ready = server.bringUp()
  await Promise.race([ready, pause(headStartMs(), undefined, { ref: false })])
  if (stoppingSince !== undefined) return
  const url = await server.listen()
  log.info(
    { url, port: Number(new URL(url).port), auth_mode: config.authMode, host_registration: config.hostRegistration },
    'listening',
  )
  warnAboutOpenDoors()
  await ready
  log.info({}, 'ready')
  letYoungGenerationGrow()
}

/**
 * A platform sends requests as soon as `/health` answers, which it does on a server that is not ready too. So the port opens on
 * a ready server. One that must wait for its database or migrate it opens after a while and says so: as long as it took to get
 * this far, because a slow processor needs in proportion.
 */
function headStartMs(): number {
  return Math.max(leastHeadStartMs, process.uptime() * 1000)
}

function warnAboutOpenDoors(): void {
  if (config.authMode !== 'open') return
  const loopback = /^(127\.|localhost|::1)/.test(config.serverHost)
  if (!loopback)
    log.warn(
      {},
      'AUTH_MODE=open on a public address: everybody who reaches this port may do everything. Protect it by other means.',
    )
}

/** Shown once, to the person at the terminal or in a file of the server's own; it is not a log line. */
function showFirstToken(token: string): void {
  if (config.firstTokenFile === undefined) {
    printFirstToken(token)
    return
  }
  rmSync(config.firstTokenFile, { force: true })
  writeFileSync(config.firstTokenFile, `${token}\n`, { mode: 0o600, flag: 'wx' })
  log.warn(
    { file: config.firstTokenFile },
    'one admin token for the first start was written to this file: read it, then delete it',
  )
}

function printFirstToken(token: string): void {
  process.stdout.write(
    [
      '',
      'This server requires API tokens. One admin token was made for the first start (valid 30 days, shown only now):',
      '',
      `  ${token}`,
      '',
      'Use it with VPT_TOKEN, or as "Authorization: Bearer ...". Make others with: vpt token create NAME --role tester',
      'A lab whose web app does not sign in sets AUTH_MODE=open, behind a protection of its own (VPN, proxy with login).',
      '',
      '',
    ].join('\n'),
  )
}

/** `stop` ends the process and so never fails for its caller. */
function stopSoon(reason: string, status = 0): void {
  stop(reason, status).catch(() => process.exit(1))
}

async function stop(reason: string, status = 0): Promise<void> {
  if (stoppingSince !== undefined) {
    // One Ctrl-C arrives twice when npm passes on what the terminal sent already.
    if (performance.now() - stoppingSince < sameSignalMs) return
    // The second signal of an impatient person ends at once. PostgreSQL recovers by itself.
    process.exit(status === 0 ? 130 : status)
  }
  stoppingSince = performance.now()
  log.info({ reason }, 'stopping')
  const limit = setTimeout(() => {
    log.warn({}, 'the stop took too long and is cut short')
    process.exit(status)
  }, drainMs)
  await server?.stop().catch((error: unknown) => log.error({ err: error }, 'stopping failed'))
  await embedded?.stop().catch((error: unknown) => log.error({ err: error }, 'the embedded database did not stop'))
  clearTimeout(limit)
  log.info({}, 'stopped')
  process.exit(status)
}

function readConfigOrExit(): Config {
  try {
    return readConfig(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}
