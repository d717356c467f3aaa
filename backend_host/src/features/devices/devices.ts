import { LabError, type RegisteredDevice } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { DeviceConfig } from '../../config.ts'
import type { CommandResult, Driver, DriverDefinitions, Screen, Screenshot } from '../../drivers/driver.ts'
import { captureOf } from '../media/index.ts'
import type { CheckContext, Checks } from '../verification/index.ts'

/** Longest time for one command, screenshot or opening, whatever the caller asks for. */
const commandTimeoutMs = 120_000
const pictureTimeoutMs = 15_000
const closeTimeoutMs = 4_000

/** One device of this host: its settings and its driver, which is opened at the first use. */
export interface Device {
  readonly id: string
  readonly config: DeviceConfig
  readonly driver: Driver
  readonly capabilities: DriverDefinitions['device_capabilities']
  /** What the driver offers, and the checks that this host can make on any picture and sound. */
  readonly definitions: DriverDefinitions
  /** Folder of its pictures and videos, as in the URL of its stream. */
  readonly capture: string
  /** When a command last went to the device, in ms of Date.now(); what happens next may be its doing. */
  lastCommandAt(): number
  open(signal: AbortSignal): Promise<void>
  /** The same for a person who comes: what was lost since it was opened, such as a browser that was killed, is brought back. */
  reopen(signal: AbortSignal): Promise<void>
  execute(command: string, params: Record<string, unknown>, signal: AbortSignal): Promise<CommandResult>
  /** One check of a kind, such as image or web; without kind the first one of that name. */
  check(call: CheckCall, signal: AbortSignal): Promise<CommandResult>
  screenshot(signal: AbortSignal): Promise<Screenshot>
  screen(signal: AbortSignal): Promise<Screen>
  /** Loudness from 0 to 100; null: nothing can be heard. */
  readonly sound: ((signal: AbortSignal) => Promise<number>) | null
  close(): Promise<void>
}

export interface CheckCall {
  command: string
  kind?: string | undefined
  params: Record<string, unknown>
  context?: CheckContext
}

export type Controller = 'av' | 'remote' | 'web' | 'power'

export interface Devices {
  readonly all: readonly Device[]
  /** Throws device_not_found. */
  require(deviceId: string): Device
  /** Also throws when the device lacks the controller, with the ones it has. */
  requireWith(deviceId: string, controller: Controller): Device
  describe(): RegisteredDevice[]
  capabilities(): string[]
  close(): Promise<void>
}

export function createDevices(
  configs: readonly DeviceConfig[],
  makeDriver: (config: DeviceConfig) => Driver,
  checks: Checks,
  log: FastifyBaseLogger,
): Devices {
  const all = configs.map((config) => createDevice(config, makeDriver(config), checks))
  const byId = new Map(all.map((device) => [device.id, device]))

  const require = (deviceId: string): Device => {
    const device = byId.get(deviceId)
    if (!device) throw new LabError('device_not_found', { text: 'This host has no such device.', errorType: 'device_not_found' })
    return device
  }
  return {
    all,
    require,
    requireWith(deviceId, controller) {
      const device = require(deviceId)
      if (device.capabilities[controller] === null) {
        const text = `Device ${deviceId} has no ${controller} controller.`
        throw new LabError('not_found', { text, extra: { available_capabilities: controllersOf(device) } })
      }
      return device
    },
    describe: () => all.map(describeDevice),
    capabilities: () => [...new Set(all.flatMap(controllersOf))],
    async close() {
      const closed = await Promise.allSettled(all.map((device) => withTimeout(device.close(), closeTimeoutMs)))
      for (const one of closed)
        if (one.status === 'rejected') log.warn({ err: one.reason as unknown }, 'device driver did not close')
    },
  }
}

function createDevice(config: DeviceConfig, driver: Driver, checks: Checks): Device {
  let opening: Promise<void> | undefined
  let commandAt = 0
  const definitions = { ...driver.definitions, ...checks.definitionsFor(driver) }
  const bound = (signal: AbortSignal, ms: number): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(ms)])
  // The opening is shared, so it must not die with the first caller who waits for it.
  const open = (): Promise<void> => {
    opening ??= driver.open(AbortSignal.timeout(commandTimeoutMs)).catch((error: unknown) => {
      opening = undefined
      throw error
    })
    return opening
  }
  const opened = async (signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted()
    await abortable(open(), signal)
  }
  const screenshot = async (signal: AbortSignal): Promise<Screenshot> => {
    const limited = bound(signal, pictureTimeoutMs)
    await opened(limited)
    return driver.screenshot(limited)
  }
  const sound = driver.sound
    ? async (signal: AbortSignal): Promise<number> => {
        await opened(signal)
        return (await driver.sound?.(signal)) ?? 0
      }
    : null
  const checked = {
    capture: captureOf(config.deviceId, config.streamPath),
    driver,
    screenshot,
    sound,
    lastCommandAt: () => commandAt,
    press(key: string, signal: AbortSignal) {
      commandAt = Date.now()
      return driver.execute('press_key', { key }, signal)
    },
  }
  /** A device that does not answer is an answer; only the caller's own abort is thrown. */
  async function answered(signal: AbortSignal, work: (limited: AbortSignal) => Promise<CommandResult>): Promise<CommandResult> {
    try {
      return await work(bound(signal, commandTimeoutMs))
    } catch (error) {
      if (signal.aborted) throw error
      const message = `The device did not answer: ${error instanceof Error ? error.message : String(error)}`
      return { success: false, message, error: message }
    }
  }
  return {
    id: config.deviceId,
    config,
    driver,
    capabilities: driver.definitions.device_capabilities,
    definitions,
    capture: checked.capture,
    lastCommandAt: () => commandAt,
    open: opened,
    async reopen(signal) {
      const before = opening
      await opened(signal)
      // Only who found it open opens it again; of several, one does.
      if (before && before === opening) opening = undefined
      await opened(signal)
    },
    execute(command, params, signal) {
      return answered(signal, async (limited) => {
        if (driver.asking?.has(command)) return driver.execute(command, params, limited)
        await opened(limited)
        if (checks.has(driver, command)) return checks.execute(checked, { command, params }, limited)
        commandAt = Date.now()
        return driver.execute(command, params, limited)
      })
    },
    check(call, signal) {
      return answered(signal, async (limited) => {
        await opened(limited)
        if (checks.has(driver, call.command, call.kind)) return checks.execute(checked, call, limited)
        const isOwn = (definitions.device_verification_types[call.kind ?? ''] ?? []).some((one) => one.command === call.command)
        if (call.kind !== undefined && !isOwn) {
          const message = `This device has no ${call.kind.slice(0, 40)} check ${call.command.slice(0, 80)}`
          return { success: false, message, error: message, verification_type: call.kind, resultType: 'FAIL' }
        }
        const result = await driver.execute(call.command, call.params, limited)
        return { ...result, verification_type: call.kind, resultType: result.success ? 'PASS' : 'FAIL' }
      })
    },
    screenshot,
    sound,
    async screen(signal) {
      const limited = bound(signal, pictureTimeoutMs)
      await opened(limited)
      return driver.screen(limited)
    },
    async close() {
      if (!opening) return
      await opening.catch(() => undefined)
      opening = undefined
      await driver.close()
    },
  }
}

function controllersOf(device: Device): string[] {
  const { av, remote, desktop, web, power } = device.capabilities
  const present = Object.entries({ av, remote, desktop, web, power }).filter(([, value]) => value !== null)
  const hasVerification = Object.keys(device.definitions.device_verification_types).length > 0
  return [...present.map(([name]) => name), ...(hasVerification ? ['verification'] : [])]
}

const describeDevice = ({ config, definitions, capture }: Device): RegisteredDevice => ({
  device_id: config.deviceId,
  device_name: config.name,
  device_model: config.model,
  device_ip: config.ip ?? null,
  device_port: config.port ?? null,
  ir_type: config.irType ?? null,
  ...definitions,
  ...(definitions.device_capabilities.av !== null && { video_stream_path: config.streamPath ?? `/host/stream/${capture}` }),
})

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

async function withTimeout(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${ms} ms`)), ms)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
