import { randomBytes, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { LabError, type RegisterHost } from '@virtualpytest/shared'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { Config, DeviceConfig } from './config.ts'
import { demoSitePage } from './demo-site.ts'
import type { Driver } from './drivers/driver.ts'
import { systemClock } from './drivers/system-clock.ts'
import { batchRoutes, createExecutions } from './features/batch/index.ts'
import { createBlocks } from './features/blocks/index.ts'
import { controlRoutes, createAccess, webRoutes } from './features/control/index.ts'
import { desktopRoutes, type Machine, withShell } from './features/desktop/index.ts'
import { createDevices, type Devices } from './features/devices/index.ts'
import { healthRoutes } from './features/health/health.routes.ts'
import { openFences } from './features/leases/fences.ts'
import { createLive, findFfmpeg, liveRoutes, publicLiveRoutes, screenshotRoutes } from './features/live/index.ts'
import { captureOf, createMediaStore, publicMediaRoutes } from './features/media/index.ts'
import { createMonitor, type FaultDelays, monitorRoutes, openAlertOutbox } from './features/monitor/index.ts'
import { runRoutes } from './features/runs/run.routes.ts'
import { runApiRoutes } from './features/runs/run-api.routes.ts'
import { createRuns } from './features/runs/runs.ts'
import { describeScripts, scriptsFingerprint } from './features/scripts/find-scripts.ts'
import type { NodeRuntime } from './features/scripts/interpreter.ts'
import { createChecks, createReferences, referenceRoutes, verificationRoutes } from './features/verification/index.ts'
import { createKeyCheck } from './http/call-key.ts'
import { installErrors } from './http/errors.ts'
import { answerRepeatsOnce } from './http/repeats.ts'
import { createDial } from './link/dial.ts'
import { createLink, defaultBeatSeconds } from './link/link.ts'
import { createReverseHttp } from './link/reverse-http.ts'
import { createServerClient } from './link/server-client.ts'
import { createServerClock } from './link/server-clock.ts'
import { createSystemStats, type SystemStats } from './link/system-stats.ts'
import type { Bell } from './outbox/bell.ts'
import { lockDataFolder } from './process/data-lock.ts'
import { openOcr } from './vision/ocr.ts'

/** Times of an orderly stop; together with closing they stay below the 25 s that a supervisor gives. */
const drainTimes = { waitMs: 10_000, flushMs: 5_000 }
/** Why an order of a beat may rightly not be taken: it was overtaken, or this agent is stopping. */
const expectedRefusals = new Set(['stale_token', 'draining'])

export interface AgentOptions {
  config: Config
  node: NodeRuntime
  createDriver: (device: DeviceConfig) => Driver
  /** Time between two beats; the server is told. */
  beatSeconds?: number
  /** How long a fault lasts before it is reported, by type; the usual times when absent. */
  faultDelays?: FaultDelays
  /** After what time a viewer that takes nothing is gone; the usual time when absent. */
  viewerStuckMs?: number
  /** Where log lines go; standard output when absent. */
  logStream?: { write(line: string): void }
}

export interface Agent {
  log: FastifyBaseLogger
  /** Ends leftovers, listens, registers. Resolves with the URL it listens on. */
  start(): Promise<string>
  /** Orderly stop: open runs get some time, results are delivered, the server is told. */
  drain(): Promise<void>
  /** Stop at once, keeping on disk what is not delivered. For tests and failed starts. */
  close(): Promise<void>
}

/**
 * Wires the agent: the one place that knows all parts. Nothing runs before start(), which takes the data folder for
 * this process alone.
 */
export async function buildAgent({
  config,
  node,
  createDriver,
  beatSeconds = defaultBeatSeconds,
  logStream,
  faultDelays,
  viewerStuckMs,
}: AgentOptions): Promise<Agent> {
  const lock = await lockDataFolder(config.dataDir)
  const app = Fastify({
    logger: { level: config.logLevel, ...(logStream && { stream: logStream }), base: { host_name: config.hostName } },
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    forceCloseConnections: true,
    // Batches bring the pictures along that they compare with.
    bodyLimit: 40 * 1024 * 1024,
    routerOptions: { ignoreTrailingSlash: true },
  })
  const log = app.log
  const bootId = randomUUID()
  const callKey = randomBytes(32).toString('hex')
  const client = createServerClient(config)
  const clock = createServerClock()
  const readStats = createSystemStats(config.dataDir)
  const pausing = new Set<Bell>()
  let port = config.hostPort

  const captures = config.devices.map(({ deviceId, streamPath }) => captureOf(deviceId, streamPath))
  const media = createMediaStore(config.dataDir, captures)
  const references = createReferences(config.dataDir, media)
  const checks = createChecks({
    clock: systemClock,
    ocr: await openOcr(),
    media,
    references,
    lastLooks: (capture, count, signal) => monitor.lastLooks(capture, count, signal),
  })
  if (!checks.ocr) log.warn('Tesseract is not installed: checks of text are not offered')
  const machine: Machine | null =
    config.shell === 'on' ? { env: config.scriptEnv, folder: config.scriptsDir, clock: systemClock } : null
  if (machine) log.warn('HOST_SHELL=on: administrators can run commands and code on this machine')
  const makeDriver = (device: DeviceConfig): Driver => {
    const driver = createDriver(device)
    // A browser is this machine's own; a box or a phone is not this machine.
    return machine && driver.definitions.device_capabilities.web !== null ? withShell(driver, machine) : driver
  }
  const devices = createDevices(config.devices, makeDriver, checks, log)
  const blocks = createBlocks({ clock: systemClock, machine })
  const executions = createExecutions()
  const fences = await openFences(config.dataDir, (deviceId, token) => {
    runs.supersede(deviceId, token)
    executions.supersede(deviceId, token)
  })
  const access = createAccess({ devices, fences })
  const live = createLive({ devices, media, ffmpeg: await findFfmpeg(), log })
  const runs = createRuns({
    config,
    node,
    devices,
    fences,
    client,
    log,
    pausing,
    agentUrl: () => `http://${reachable(config.hostListen)}:${port}`,
    serverNow: () => clock.now(),
  })
  const dial = createDial({ ...config, bootId, callKey, http: createReverseHttp(app.server), log })
  const alerts = await openAlertOutbox({
    dataDir: config.dataDir,
    hostName: config.hostName,
    client,
    serverNow: () => clock.now(),
    readPicture: (url) => media.read(url),
    log,
  })
  const monitor = createMonitor({ live, media, alerts, log, ...(faultDelays && { delays: faultDelays }) })
  const link = createLink({
    client,
    clock,
    log,
    beatSeconds,
    fingerprint: () => scriptsFingerprint(config.scriptsDir),
    describe: async () => ({
      ...describeHost(config, devices, port, await readStats()),
      ping_interval_s: beatSeconds,
      boot_id: bootId,
      call_key: callKey,
      scripts: await describeScripts(config.scriptsDir, log),
    }),
    beat: async () => ({
      host_name: config.hostName,
      timestamp: Date.now() / 1000,
      ping_interval_s: beatSeconds,
      boot_id: bootId,
      device_count: devices.all.length,
      system_stats: await readStats(),
      leases: runs.leases(),
    }),
    onLost: (lost) => runs.lose(lost),
    onOrders(orders) {
      for (const order of orders) {
        // The answer to a beat cannot be refused: what is wrong with an order is told by the result of its run.
        runs.accept(order, { isScriptChecked: false }).catch((error: unknown) => {
          const isExpected = error instanceof LabError && expectedRefusals.has(error.code)
          log[isExpected ? 'info' : 'warn'](
            { err: error, run_id: order.run_id, device_id: order.device_id },
            'order of a beat not taken',
          )
        })
      }
    },
    onRegistered() {
      if (config.link !== 'off') dial.start()
    },
    onReconnected() {
      for (const bell of pausing) bell.ring()
    },
  })

  installErrors(app)
  healthRoutes(app, { hostName: config.hostName, version: config.version, isRegistered: () => link.isRegistered() })
  publicLiveRoutes(app, { live, stuckMs: viewerStuckMs })
  publicMediaRoutes(app, {
    media,
    async onRequest(capture, folder, name) {
      if (folder === 'segments') await live.byCapture(capture)?.hls?.touch(name)
    },
  })
  demoRoutes(app)
  runApiRoutes(app, {
    runs,
    devices,
    fences,
    confirmIfSlept: () => link.confirmIfSlept(),
    readPicture: (url) => media.read(url),
  })
  const keyCheck = createKeyCheck(config.apiKey === undefined ? [callKey] : [callKey, config.apiKey])
  await app.register(async (guarded) => {
    guarded.addHook('onRequest', keyCheck)
    answerRepeatsOnce(guarded)
    runRoutes(guarded, runs)
    controlRoutes(guarded, access)
    webRoutes(guarded, access)
    screenshotRoutes(guarded, { access, media })
    liveRoutes(guarded, { live, access, hostUrl: () => config.hostUrl ?? `http://${reachable(config.hostListen)}:${port}` })
    monitorRoutes(guarded, { access, monitor, alerts, media })
    batchRoutes(guarded, { access, executions, media, blocks, clock: systemClock })
    desktopRoutes(guarded, {
      access,
      machine,
      browserId: () => devices.all.find(({ capabilities }) => capabilities.web !== null)?.id,
    })
    verificationRoutes(guarded, {
      requireDevice: (deviceId) => devices.require(deviceId),
      requireBrowser: (deviceId) => access.browser(deviceId),
      admit: (device, token) => access.admit(devices.require(device.id), token),
    })
    referenceRoutes(guarded, { media, checks, captureOf: (deviceId) => devices.require(deviceId).capture })
    // Also for paths that do not exist: without the key nobody learns which do.
    guarded.all('/host/*', () => {
      throw new LabError('route_not_found')
    })
  })

  const closeParts = async (): Promise<void> => {
    await monitor.close()
    await Promise.all([alerts.close(), live.close()])
    await dial.stop()
    await Promise.all([runs.close(), executions.close(), app.close()])
    await devices.close()
    await lock.release()
  }
  return {
    log,
    async start() {
      await runs.recover()
      await app.listen({ port: config.hostPort, host: config.hostListen })
      port = (app.server.address() as AddressInfo).port
      log.info({ port, devices: devices.all.map((device) => device.id), server_url: config.serverUrl }, 'host agent listens')
      link.start()
      alerts.start()
      monitor.start()
      return `http://${reachable(config.hostListen)}:${port}`
    },
    async drain() {
      log.info('host agent stops')
      await runs.drain(drainTimes)
      await link.stop({ unregister: true })
      await closeParts()
      log.info('host agent stopped')
    },
    async close() {
      await link.stop({ unregister: false })
      await closeParts()
    },
  }
}

/** Registration without what changes from start to start. URLs are derived from the port that was really taken. */
function describeHost(config: Config, devices: Devices, port: number, stats: SystemStats): RegisterHost {
  const hostUrl = config.hostUrl ?? `http://${reachable(config.hostListen)}:${port}`
  return {
    host_name: config.hostName,
    host_url: hostUrl,
    host_api_url: config.hostApiUrl ?? hostUrl,
    host_port: port,
    host_ip: new URL(hostUrl).hostname,
    device_count: devices.all.length,
    devices: devices.describe(),
    capabilities: devices.capabilities(),
    system_stats: stats,
    agent: 'virtualpytest-host',
    agent_version: config.version,
    protocol: 1,
    ...(config.link === 'on' && { link_only: true }),
  }
}

/** The demo page for the browser device: public, so that a first run needs no other machine. */
function demoRoutes(app: FastifyInstance): void {
  app.get('/demo', (_request, reply) => reply.redirect('/demo/index.html'))
  app.get('/demo/*', (request, reply) => {
    const page = demoSitePage((request.params as { '*': string })['*'])
    if (!page) throw new LabError('not_found', { text: 'The demo site has no such page.' })
    return reply.type(page.contentType).send(page.body)
  })
}

/** An address to call where one listens: "all addresses" is none, and IPv6 needs brackets in a URL. */
function reachable(listen: string): string {
  if (listen === '0.0.0.0' || listen === '::') return '127.0.0.1'
  return listen.includes(':') ? `[${listen}]` : listen
}
