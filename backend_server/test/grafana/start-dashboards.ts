import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { defaultTeamId, type Role } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { pino } from 'pino'
import { readConfig } from '../../src/config.ts'
import { inTransaction } from '../../src/db/database.ts'
import { createDashboards } from '../../src/features/dashboards/dashboards.ts'
import { configureGrafana } from '../../src/features/dashboards/embedded-grafana.ts'
import { createToken, findToken } from '../../src/features/tokens/index.ts'
import { canonicalizeBeforeAll, createHttpApp, installNotFound } from '../../src/http/http-app.ts'
import { createMount } from '../../src/http/mount.ts'
import { cutUnknownUpgrades, mountProgram } from '../../src/http/mounted-program/index.ts'
import { createCallerResolver } from '../../src/http/resolve-caller.ts'
import { type GrafanaStandIn, startGrafanaStandIn } from '../fakes/grafana-stand-in.ts'
import type { TestDatabase } from '../test-db.ts'
import { testLog } from '../test-log.ts'
import { until } from '../until.ts'
import { createReportDatabase } from './reader.ts'
import { freePort } from './start-proxy.ts'

/** The real program, where it exists: the same tests run against it. */
export const grafanaBinary = process.env.GRAFANA_BIN

export interface DashboardLab {
  url: string
  port: number
  /** Where Grafana itself listens. */
  grafana: URL
  database: TestDatabase
  /** Undefined while the real program runs. */
  standIn: GrafanaStandIn | undefined
  stopGrafana: () => Promise<void>
  /** Starts it again, as its supervisor would: with a memory, or after its folder was lost. */
  startGrafana: (options: { isForgetful: boolean }) => Promise<void>
  /** One round of the job that compares organizations with teams. */
  converge: () => Promise<void>
  /** What the job told. */
  logged: string[]
  /** A team that the server has heard of a moment ago. */
  addTeam: (name: string) => Promise<string>
  /** Everything ends and begins again: new secrets, an empty folder of Grafana, the same database. */
  restartWithNewSecrets: () => Promise<DashboardLab>
  createToken: (name: string, role: Role, teamId?: string) => Promise<{ id: string; secret: string }>
}

export interface DashboardLabOptions {
  authMode?: 'open' | 'required'
  mode?: 'off' | 'embedded'
  /** In place of the address that the test itself uses. */
  publicUrl?: string
  corsOrigins?: string
  isLive?: boolean
  /** In place of a new one. */
  database?: TestDatabase
}

/** The HTTP side of the server with its dashboards, and Grafana behind it, configured by the files that the server writes. */
export async function startDashboards(t: TestContext, options: DashboardLabOptions = {}): Promise<DashboardLab> {
  const { authMode = 'required', mode = 'embedded' } = options
  const logged: string[] = []
  const database = options.database ?? (await createReportDatabase(t))
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-grafana-'))
  const [port, grafanaPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  const publicUrl = options.publicUrl ?? url
  const config = readConfig({ AUTH_MODE: authMode, CORS_ORIGINS: options.corsOrigins ?? '', SERVER_PORT: String(port) })
  const log = testLog
  const app = await createHttpApp(config, log)
  const resolveCaller = createCallerResolver({
    authMode,
    hostRegistration: 'open',
    apiKey: undefined,
    assertReady: () => {},
    findToken: (hash) => findToken(database.db, hash),
    findHostByKey: () => Promise.resolve(undefined),
  })
  const { mountOn, methodsAt } = createMount({ checkAnswers: true, resolveCaller })
  const dashboards = createDashboards({
    db: database.db,
    databaseUrl: database.url,
    wake: () => void converge(),
    mode,
    externalUrl: undefined,
    port: grafanaPort,
    folder,
    publicUrl: () => publicUrl,
    frameOrigins: config.corsOrigins,
    trustedProxies: 0,
    connections: config.dashboardConnections,
    authMode,
    resolveCaller,
    findToken: (hash) => findToken(database.db, hash),
  })
  const jobLog = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) })
  async function converge(): Promise<void> {
    const job = dashboards.jobs.find((one) => one.name === 'dashboards.organizations')
    await job?.run({ db: database.db, log: jobLog, signal: new AbortController().signal, readySeconds: 100, term: 0 })
  }
  dashboards.mountRoutes(mountOn(app))
  const mounted = mountProgram(app, app.server, dashboards.program)
  installNotFound(app, methodsAt)
  await app.ready()
  cutUnknownUpgrades(app.server, (one) => one.startsWith('/grafana/'))
  canonicalizeBeforeAll(app.server)
  await app.listen({ port, host: '127.0.0.1' })

  await dashboards.prepare()
  const files = {
    configFile: path.join(folder, 'grafana.ini'),
    dataFolder: path.join(folder, 'data'),
    provisioningFolder: path.join(folder, 'provisioning'),
  }
  configureGrafana({
    ...files,
    secretsFolder: folder,
    databaseUrl: database.url,
    isLive: options.isLive ?? false,
    port: grafanaPort,
    publicUrl,
    frameOrigins: config.corsOrigins,
  })
  const start = () => startGrafana(files.configFile, grafanaPort)
  let grafana = mode === 'off' ? undefined : await start()
  const stop = once(async () => {
    mounted.stop()
    await app.close()
    await grafana?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  t.after(stop)
  return {
    url,
    port,
    grafana: new URL(`http://127.0.0.1:${grafanaPort}`),
    database,
    get standIn() {
      return grafana?.standIn
    },
    stopGrafana: async () => grafana?.stop(),
    async startGrafana({ isForgetful }) {
      await grafana?.stop()
      if (isForgetful) await rm(path.join(files.dataFolder, 'grafana.db'), { force: true })
      grafana = await start()
    },
    async restartWithNewSecrets() {
      await stop()
      return startDashboards(t, { ...options, database })
    },
    converge,
    logged,
    async addTeam(name) {
      const id = randomUUID()
      await sql`insert into teams (id, name) values (${id}, ${name})`.execute(database.db.kysely)
      return id
    },
    async createToken(name, role, teamId = defaultTeamId) {
      const made = await inTransaction(database.db, (tx) => createToken(tx, { teamId, name, role, days: 1, createdBy: null }))
      return { id: made.token.id, secret: made.secret }
    },
  }
}

export async function startGrafana(
  configFile: string,
  port: number,
): Promise<{ standIn?: GrafanaStandIn; stop: () => Promise<void> }> {
  if (!grafanaBinary) {
    const standIn = await startGrafanaStandIn(configFile)
    return { standIn, stop: once(() => standIn.stop()) }
  }
  const home = path.resolve(path.dirname(grafanaBinary), '..')
  const words = path.basename(grafanaBinary) === 'grafana-server' ? [] : ['server']
  const child = spawn(grafanaBinary, [...words, `--homepath=${home}`, `--config=${configFile}`], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await until(
    'Grafana answers',
    async () => (await fetch(`http://127.0.0.1:${port}/grafana/api/health`).catch(() => undefined))?.ok,
    90_000,
  )
  return {
    stop: once(async () => {
      child.kill('SIGTERM')
      await ended
    }),
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => {
    done ??= work()
    return done
  }
}
