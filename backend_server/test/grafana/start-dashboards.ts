import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { defaultTeamId, type Role } from '@virtualpytest/shared'
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
import { until } from '../start-lab.ts'
import type { TestDatabase } from '../test-db.ts'
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
  createToken: (name: string, role: Role, teamId?: string) => Promise<{ id: string; secret: string }>
}

export interface DashboardLabOptions {
  authMode?: 'open' | 'required'
  mode?: 'off' | 'embedded'
  /** In place of the address that the test itself uses. */
  publicUrl?: string
  corsOrigins?: string
  isLive?: boolean
}

/** The HTTP side of the server with its dashboards, and Grafana behind it, configured by the files that the server writes. */
export async function startDashboards(t: TestContext, options: DashboardLabOptions = {}): Promise<DashboardLab> {
  const { authMode = 'required', mode = 'embedded' } = options
  const database = await createReportDatabase(t)
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-grafana-'))
  const [port, grafanaPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  const publicUrl = options.publicUrl ?? url
  const config = readConfig({ AUTH_MODE: authMode, CORS_ORIGINS: options.corsOrigins ?? '', SERVER_PORT: String(port) })
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' })
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
    mode,
    externalUrl: undefined,
    port: grafanaPort,
    folder,
    publicUrl: () => publicUrl,
    frameOrigins: config.corsOrigins,
    trustedProxies: 0,
    authMode,
    resolveCaller,
    findToken: (hash) => findToken(database.db, hash),
  })
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
  const grafana = mode === 'off' ? undefined : await startGrafana(files.configFile, grafanaPort)
  t.after(async () => {
    mounted.stop()
    await app.close()
    await grafana?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  return {
    url,
    port,
    grafana: new URL(`http://127.0.0.1:${grafanaPort}`),
    database,
    standIn: grafana?.standIn,
    stopGrafana: async () => grafana?.stop(),
    async createToken(name, role, teamId = defaultTeamId) {
      const made = await inTransaction(database.db, (tx) => createToken(tx, { teamId, name, role, days: 1, createdBy: null }))
      return { id: made.token.id, secret: made.secret }
    },
  }
}

async function startGrafana(configFile: string, port: number): Promise<{ standIn?: GrafanaStandIn; stop: () => Promise<void> }> {
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
