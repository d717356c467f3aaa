import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../http/errors.ts'
import type { Device, Devices } from '../devices/index.ts'
import type { Fences } from '../leases/index.ts'

/** Longest time a person waits for a command; the server gives up earlier. */
const controlTimeoutMs = 120_000
const openTimeoutMs = 25_000
const powerCommands = ['power_on', 'power_off', 'reboot'] as const

const target = { device_id: z.string().min(1).max(100).default('device1'), token: z.int().min(1).nullish() }
const Target = z.object(target)
const params = z.looseObject({}).nullish()
const RemoteCommand = z.object({ ...target, command: z.string().min(1).max(200), params })
const PowerCommand = z.object({ ...target, command: z.enum(powerCommands) })
/** Web calls carry no device of their own: they act on the browser of this host. */
const WebTarget = z.object({ device_id: z.string().max(100).nullish(), token: z.int().min(1).nullish() })
const WebCommand = WebTarget.extend({ command: z.string().min(1).max(200), params })
const NavigateToUrl = WebTarget.extend({ url: z.string().min(1).max(8000), timeout: z.number().min(0).nullish() })

export interface ControlContext {
  devices: Devices
  fences: Fences
}

/** A person at a device: taking it, keys of the remote, the browser, power. The server has checked the lease. */
export function controlRoutes(app: FastifyInstance, { devices, fences }: ControlContext): void {
  /** A call under an older lease than the newest one seen is refused; a newer one ends what runs under older ones. */
  async function admit(device: Device, token: number | null | undefined): Promise<void> {
    if (token == null) return
    fences.admit(device.id, token)
    await fences.save()
  }
  async function execute(device: Device, command: string, given: Record<string, unknown> | null | undefined) {
    const startedAt = performance.now()
    const result = await device.execute(command, given ?? {}, AbortSignal.timeout(controlTimeoutMs)).catch((cause: unknown) => {
      throw new LabError('host_error', {
        text: 'The device did not answer in time.',
        status: 500,
        errorType: 'host_error',
        cause,
      })
    })
    return { result, execution_time: Math.round(performance.now() - startedAt) }
  }
  function requireBrowser(deviceId: string | null | undefined): Device {
    const own = devices.all.find((device) => device.id === 'host' && device.capabilities.web !== null)
    return own ?? devices.requireWith(deviceId ?? 'host', 'web')
  }
  async function executeInBrowser(body: z.infer<typeof WebTarget>, command: string, given: Record<string, unknown>) {
    const browser = requireBrowser(body.device_id)
    await admit(browser, body.token)
    const { result, execution_time } = await execute(browser, command, given)
    return { error: result.success ? null : result.message, ...result, execution_time }
  }

  app.post('/host/takeControl', async (request) => {
    const { device_id, token } = parseRequest(Target, request.body)
    const device = devices.require(device_id)
    await admit(device, token)
    const { av, remote } = device.capabilities
    const available_controllers = [...(av === null ? [] : ['av']), ...(remote === null ? [] : ['remote'])]
    // The device is taken even when it cannot be reached: the person may be there to find out why.
    const warning = await device.open(AbortSignal.timeout(openTimeoutMs)).then(
      () => undefined,
      (error: unknown) => `The device could not be opened: ${error instanceof Error ? error.message : String(error)}`,
    )
    return { success: true, available_controllers, ...(warning !== undefined && { warning }) }
  })

  app.post('/host/releaseControl', (request) => {
    devices.require(parseRequest(Target, request.body).device_id)
    return { success: true }
  })

  app.post('/host/remote/executeCommand', async (request) => {
    const body = parseRequest(RemoteCommand, request.body)
    const device = devices.requireWith(body.device_id, 'remote')
    await admit(device, body.token)
    const { result, execution_time } = await execute(device, body.command, body.params)
    return { ...result, device_id: device.id, execution_time }
  })

  app.post('/host/remote/takeScreenshot', async (request) => {
    const body = parseRequest(Target, request.body)
    const device = devices.requireWith(body.device_id, 'remote')
    await admit(device, body.token)
    const picture = await device.screenshot(AbortSignal.timeout(controlTimeoutMs)).catch((cause: unknown) => {
      throw new LabError('host_error', { text: 'The device gave no screenshot.', status: 400, errorType: 'host_error', cause })
    })
    return { success: true, screenshot: picture.data.toString('base64'), device_id: device.id }
  })

  app.post('/host/power/executeCommand', async (request) => {
    const body = parseRequest(PowerCommand, request.body)
    const device = devices.requireWith(body.device_id, 'power')
    await admit(device, body.token)
    const { result } = await execute(device, body.command, {})
    return { ...result, device_id: device.id }
  })

  app.post('/host/web/executeCommand', (request) => {
    const body = parseRequest(WebCommand, request.body)
    return executeInBrowser(body, body.command, body.params ?? {})
  })

  app.post('/host/web/navigateToUrl', (request) => {
    const body = parseRequest(NavigateToUrl, request.body)
    return executeInBrowser(body, 'navigate_to_url', { url: body.url, timeout: body.timeout ?? 30_000 })
  })
}
