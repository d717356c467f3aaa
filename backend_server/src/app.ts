import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { defaultTeamId, LabError } from '@virtualpytest/shared'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import { bringUpDatabase } from './db/bring-up.ts'
import { type Database, inTransaction } from './db/database.ts'
import { mountAlertRoutes, resolveGoneAlertsJob } from './features/alerts/index.ts'
import { createDiskStore } from './features/artifacts/index.ts'
import { backupBeforeMigration, createBackupHealth, dailyBackupJob, listBackups } from './features/backups/index.ts'
import { cancelPath, createBatchWatcher, keepCheck, mountBatchRoutes, mountBrowserRoutes } from './features/batches/index.ts'
import { mountControlRoutes } from './features/control/index.ts'
import { createDashboards } from './features/dashboards/index.ts'
import { mountDeviceCallRoutes } from './features/device-calls/index.ts'
import { deleteOldHistoryJob, mountDeviceFlagRoutes, mountDeviceRoutes } from './features/devices/index.ts'
import { attachSockets, createEventFeed, deleteOldEventsJob, mountEventRoutes } from './features/events/index.ts'
import {
  createDatabaseWatch,
  createReadiness,
  isReady,
  mountHealthRoutes,
  type Readiness,
  reasonsNotReady,
  startSystemStats,
} from './features/health/index.ts'
import { checkIdleDevicesJob, createHealthChecks, mountHealthCheckRoutes } from './features/health-checks/index.ts'
import {
  acceptLinks,
  createForwarder,
  createHostLinks,
  createLinkHub,
  linkPath,
  mountForwardedCalls,
  renewLinksJob,
} from './features/host-links/index.ts'
import {
  createAddressRules,
  createHostClient,
  createReachableNotes,
  findHostByKey,
  hostAddress,
  markHostsOfflineJob,
  mountHostRoutes,
} from './features/hosts/index.ts'
import {
  createSocketBeat,
  deleteOldLeasesJob,
  expireLeasesJob,
  grantWaitingJob,
  mountLeaseRoutes,
} from './features/leases/index.ts'
import { mountMediaRoutes } from './features/media/index.ts'
import { mountProgramRoutes, watchPrograms } from './features/programs/index.ts'
import { mountReferenceRoutes, referencesFor } from './features/references/index.ts'
import {
  createDispatcher,
  createReporter,
  endRunsOfHost,
  findRun,
  lockedError,
  mountArtifactUpload,
  mountRunAgentRoutes,
  mountRunRoutes,
  notFreeError,
  type RunRow,
  renewRuns,
  showTaskComplete,
  sweepRunsJob,
  takeAwayLeases,
} from './features/runs/index.ts'
import { listScripts, mountScriptRoutes } from './features/scripts/index.ts'
import { createRefusalPage, createSessionLookup, mountSignInRoutes } from './features/sign-in/index.ts'
import { mountTeamRoutes } from './features/teams/index.ts'
import { createFirstToken, findToken, mountTokenRoutes } from './features/tokens/index.ts'
import { mountApiReference } from './http/api-reference.ts'
import { closePlainServer, createIdleCloser } from './http/close-when-idle.ts'
import { createCompatServer, publicAddress } from './http/compat-server.ts'
import { canonicalizeBeforeAll, createHttpApp, installNotFound, isAllowedOrigin } from './http/http-app.ts'
import { createMount, type MountedRoute } from './http/mount.ts'
import { cutUnknownUpgrades, mountProgram } from './http/mounted-program/index.ts'
import { createCallerResolver } from './http/resolve-caller.ts'
import { internalAddress } from './internal-address.ts'
import { type JobRunner, startJobs } from './jobs/runner.ts'
import { defaultTimings, type Timings } from './timings.ts'

export interface AppOptions {
  config: Config
  db: Database
  databaseUrl: string
  log: FastifyBaseLogger
  timings?: Partial<Timings>
  /** Compare every answer with the contract; for tests. */
  checkAnswers?: boolean
  /** Folder of the SQL files; default: the product's. For tests. */
  migrationsFolder?: string
  /** Gets the one-time admin token of a first start that requires tokens. It must not reach a log. */
  showFirstToken?: (token: string) => void
}

export interface LabServer {
  http: FastifyInstance
  readiness: Readiness
  mounted: readonly MountedRoute[]
  /** Opens the port; the server answers health checks from then on. Returns the address. */
  listen: () => Promise<string>
  /** Waits for the database and migrates it, then starts the background work. Throws what waiting cannot cure. */
  bringUp: () => Promise<void>
  /** Stops taking work, finishes what is open, closes everything. */
  stop: () => Promise<void>
}

/** Builds the whole server: every part of it is wired here and nowhere else. It neither listens nor touches the process. */
export async function buildApp(options: AppOptions): Promise<LabServer> {
  const { config, db, log } = options
  const timings = { ...defaultTimings, ...options.timings }
  const readiness = createReadiness()
  const stats = startSystemStats({ serverName: config.serverName, dataDir: config.dataDir })
  const programs = watchPrograms(containerRunDir)
  const store = createDiskStore(path.join(config.dataDir, 'artifacts'))
  const backups = { folder: config.backupDir, keep: config.backupKeep, product: config.version }
  const backupHealth = createBackupHealth({ hours: config.backupHours })
  const links = createLinkHub({
    db,
    log,
    serverName: config.serverName,
    internalUrl: () => config.internalUrl ?? internalAddress(config, listeningUrl),
    pingMs: timings.linkPingMs,
  })
  const forwarder = createForwarder({ connectTimeoutMs: 5000 })
  const hosts = createHostClient({
    onReachable: createReachableNotes({ db, log, everyMs: timings.reachableMs }),
    mayCall: createAddressRules(config.hostNetworks),
    links: createHostLinks({ db, hub: links, forward: forwarder.forward }),
  })
  let jobs: JobRunner | undefined

  const http = await createHttpApp(config, log)
  const tokenOf = (hash: string) => findToken(db, hash)
  const resolveCaller = createCallerResolver({
    authMode: config.authMode,
    hostRegistration: config.hostRegistration,
    apiKey: config.apiKey,
    assertReady() {
      if (readiness.starting !== null) throw new LabError('not_ready', { text: reasonsNotReady(readiness).join('; ') })
    },
    findToken: tokenOf,
    findBySession: createSessionLookup({ db, findToken: tokenOf, publicUrl: () => serverUrl(), corsOrigins: config.corsOrigins }),
    findHostByKey: (hash) => findHostByKey(db, hash),
  })
  const refusalPage = createRefusalPage(config.corsOrigins)
  const { mountOn, methodsAt, mounted } = createMount({ checkAnswers: options.checkAnswers ?? false, resolveCaller, refusalPage })
  const mount = mountOn(http)
  let listeningUrl = `http://${config.serverHost}:${config.serverPort}`
  const serverUrl = (): string => config.serverUrl ?? listeningUrl

  const onEnded = (run: RunRow): void => {
    log.debug({ run_id: run.id }, 'run ended')
    jobs?.wake('runs.report')
    jobs?.wake('runs.dispatch')
  }
  const dispatcher = createDispatcher({ db, log, hosts, apiKey: config.apiKey, onEnded, batchCancelPath: cancelPath(db) })

  mountHealthRoutes(mount, {
    readiness,
    version: config.version,
    systemStats: stats.current,
    optionalProblems: programs.reasons,
    backups: backupHealth,
  })
  mountProgramRoutes(mount, { runDir: containerRunDir })
  mountHostRoutes(mount, {
    db,
    config,
    serverUrl,
    systemStats: stats.current,
    renewRuns,
    endRunsOfHost,
    onRegistered(host) {
      hosts.forgetFailures(hostAddress(host, config.apiKey))
      links.fence(host.name, host.boot_id)
    },
  })
  const media = mountMediaRoutes(mount, {
    db,
    hosts,
    apiKey: config.apiKey,
    resolveCaller,
    recheckMs: timings.viewerRecheckMs,
    viewerStuckMs: timings.viewerStuckMs,
  })
  mountDeviceFlagRoutes(mount, { db })
  const onFreed = (): void => jobs?.wake('runs.dispatch')
  const tellHosts = (cancelled: readonly RunRow[]): void => {
    for (const run of cancelled) {
      onEnded(run)
      dispatcher.cancelOnHost(run)
    }
  }
  mountDeviceRoutes(mount, { db, authMode: config.authMode, takeAwayLeases, tellHosts, onFreed })
  mountLeaseRoutes(mount, { db, authMode: config.authMode, onFreed })
  mountControlRoutes(mount, {
    db,
    hosts,
    apiKey: config.apiKey,
    authMode: config.authMode,
    log,
    takeAwayLeases,
    tellHosts,
    lockedError,
    notFreeError,
    onFreed,
  })
  const deviceCalls = { db, hosts, apiKey: config.apiKey, authMode: config.authMode, lockedError }
  const endings = { onEnded, cancelOnHost: dispatcher.cancelOnHost }
  const batches = { ...deviceCalls, watcher: createBatchWatcher({ ...deviceCalls, log, store, ...endings }), onEnded }
  const checks = createHealthChecks({ db, log, hosts, store, apiKey: config.apiKey, onEnded })
  mountHealthCheckRoutes(mount, { db, checks })
  mountDeviceCallRoutes(mount, deviceCalls)
  mountBatchRoutes(mount, {
    ...batches,
    keepCheck: (check) => keepCheck({ db, hosts, store, apiKey: config.apiKey, log, onEnded }, check),
    referencesFor: (teamId, verifications) => referencesFor({ db, store }, teamId, verifications),
  })
  mountBrowserRoutes(mount, { ...batches, serverUrl, log })
  mountReferenceRoutes(mount, { ...deviceCalls, store, serverUrl })
  mountRunRoutes(mount, {
    db,
    store,
    dispatcher,
    authMode: config.authMode,
    serverHasScript: async (name) => (await listScripts(config.scriptsDir)).has(name),
    onEnded,
  })
  mountRunAgentRoutes(mount, { db, store, onEnded })
  await http.register((scope, _options, done) => {
    mountArtifactUpload(scope, mountOn(scope), { db, store, onEnded })
    done()
  })
  mountScriptRoutes(mount, { db, scriptsDir: config.scriptsDir })
  mountAlertRoutes(mount, { db, store })
  mountSignInRoutes(mount, { db, authMode: config.authMode, publicUrl: serverUrl })
  mountTokenRoutes(mount, { db })
  mountTeamRoutes(mount, { db })
  const dashboards = createDashboards({
    db,
    databaseUrl: options.databaseUrl,
    wake: (job) => jobs?.wake(job),
    mode: config.grafana,
    externalUrl: config.grafanaUrl,
    port: config.grafanaPort,
    folder: path.join(config.dataDir, 'grafana'),
    publicUrl: serverUrl,
    frameOrigins: config.corsOrigins,
    trustedProxies: config.trustedProxies,
    connections: config.dashboardConnections,
    authMode: config.authMode,
    resolveCaller,
    findToken: tokenOf,
  })
  dashboards.mountRoutes(mount)
  const grafana = mountProgram(http, http.server, dashboards.program)
  const feed = createEventFeed(db, log)
  const streams = mountEventRoutes(mount, { feed, resolveCaller })
  await mountForwardedCalls(http, links)
  mountApiReference(http)
  http.get('/', () => ({
    service: 'virtualpytest-server',
    status: isReady(readiness) ? 'ok' : 'degraded',
    prefixes: ['/server', '/grafana', '/health'],
  }))
  installNotFound(http, methodsAt)
  await http.ready()
  const sockets = attachSockets(http.server, {
    feed,
    log,
    resolveCaller,
    corsOrigin: (origin) => isAllowedOrigin(config, origin),
    beatLease: createSocketBeat({ db, authMode: config.authMode }),
    heartbeatMs: timings.heartbeatMs,
    taskResult: async (runId) => {
      const run = await findRun(db, runId)
      return run && showTaskComplete(run)
    },
  })
  acceptLinks(http.server, { db, log, hub: links, resolveCaller })
  cutUnknownUpgrades(http.server, (path_) => path_ === linkPath || /^\/(server\/socket\.io|grafana)(\/|$)/.test(path_))
  canonicalizeBeforeAll(http.server)
  const compat = config.compatPort === undefined ? undefined : createCompatServer(http.server)
  const closeHttp = createIdleCloser(http.server)
  const closeCompat = compat && createIdleCloser(compat)

  const sweep = { everyMs: timings.sweepMs, graceSeconds: timings.graceSeconds }
  const allJobs = [
    expireLeasesJob(sweep),
    grantWaitingJob({ everyMs: 1000 }),
    markHostsOfflineJob(sweep),
    sweepRunsJob({ ...sweep, ...endings }),
    resolveGoneAlertsJob({ everyMs: 60_000, graceSeconds: timings.graceSeconds }),
    dispatcher.job,
    batches.watcher.job,
    checkIdleDevicesJob({ ...sweep, everyMs: timings.idleCheckMs, hours: config.deviceCheckHours, checks }),
    createReporter({ db, log, store }),
    deleteOldEventsJob({ everyMs: 600_000 }),
    deleteOldLeasesJob({ everyMs: 3_600_000, ...config }),
    deleteOldHistoryJob({ everyMs: 3_600_000, ...config }),
    renewLinksJob({ hub: links, everyMs: timings.linkRenewMs }),
    ...dashboards.jobs,
    dailyBackupJob({
      url: options.databaseUrl,
      settings: backups,
      hours: config.backupHours,
      health: backupHealth,
      everyMs: timings.backupCheckMs,
      afterReadySeconds: timings.graceSeconds,
    }),
  ]
  const stopping = new AbortController()
  const databaseWatch = createDatabaseWatch({ db, log, readiness, everyMs: timings.databaseWatchMs })

  return {
    http,
    readiness,
    mounted,
    async listen() {
      const address = await http.listen({ port: config.serverPort, host: config.serverHost })
      listeningUrl = publicAddress(address)
      if (compat)
        await new Promise<void>((resolve, reject) =>
          compat.once('error', reject).listen(config.compatPort, config.serverHost, resolve),
        )
      return listeningUrl
    },
    async bringUp() {
      await bringUpDatabase({
        url: options.databaseUrl,
        log,
        signal: stopping.signal,
        onState: (text) => {
          readiness.starting = text
        },
        beforeMigration: backupBeforeMigration({
          url: options.databaseUrl,
          settings: backups,
          mode: config.backupBeforeMigration,
          log,
          signal: stopping.signal,
        }),
        ...(options.migrationsFolder !== undefined && { migrationsFolder: options.migrationsFolder }),
      })
      if (stopping.signal.aborted) return
      backupHealth.noteNewest((await listBackups(config.backupDir))[0]?.createdAt)
      if (config.authMode === 'required') {
        const token = await inTransaction(db, (tx) => createFirstToken(tx, defaultTeamId))
        if (token !== undefined) options.showFirstToken?.(token)
      }
      // Dashboards are optional: without them the lab still works.
      await dashboards.prepare().catch((error: unknown) => log.error({ err: error }, 'the dashboards could not be prepared'))
      readiness.database = 'connected'
      readiness.starting = null
      databaseWatch.start()
      jobs = startJobs({
        db,
        log,
        jobs: allJobs,
        holder: `${config.serverName}:${randomUUID()}`,
        isEnabled: () => readiness.database === 'connected',
      })
    },
    async stop() {
      readiness.draining = true
      stopping.abort()
      databaseWatch.stop()
      stats.stop()
      programs.stop()
      // Streams and sockets never end by themselves: they are told first, so that the close waits for short requests only.
      sockets.stop()
      grafana.stop()
      media.stop()
      await links.stop()
      await streams.stop()
      await feed.stop()
      await Promise.all([closeHttp(() => http.close()), compat && closeCompat?.(() => closePlainServer(compat))])
      await jobs?.stop()
      await dispatcher.settle()
      await checks.settle()
      await batches.watcher.stop()
      hosts.close()
      forwarder.close()
      await db.close()
    },
  }
}

/** Where process 1 of the container writes how its programs are. */
const containerRunDir = '/run/virtualpytest'
