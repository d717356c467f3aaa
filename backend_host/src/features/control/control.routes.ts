import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../http/errors.ts'
import { type Access, params, reasonOf, Target, target } from './access.ts'

const openTimeoutMs = 25_000
const screenTimeoutMs = 60_000
const powerCommands = ['power_on', 'power_off', 'reboot'] as const

const RemoteCommand = z.object({ ...target, command: z.string().min(1).max(200), params })
const Tap = z.object({ ...target, x: z.number(), y: z.number() })
const PowerCommand = z.object({ ...target, command: z.enum(powerCommands) })

/** A person at a device: taking it, keys of the remote, what is on the screen, power. The server has checked the lease. */
export function controlRoutes(app: FastifyInstance, access: Access): void {
  const { devices } = access

  app.post('/host/takeControl', async (request) => {
    const { device_id, token } = parseRequest(Target, request.body)
    const device = devices.require(device_id)
    await access.admit(device, token)
    const { av, remote } = device.capabilities
    const available_controllers = [...(av === null ? [] : ['av']), ...(remote === null ? [] : ['remote'])]
    // The device is taken even when it cannot be reached: the person may be there to find out why.
    const warning = await device.reopen(AbortSignal.timeout(openTimeoutMs)).then(
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
    await access.admit(device, body.token)
    const { result, execution_time } = await access.execute(device, body.command, body.params)
    return { ...result, device_id: device.id, execution_time }
  })

  app.post('/host/remote/tapCoordinates', async (request) => {
    const { device_id, token, x, y } = parseRequest(Tap, request.body)
    const device = devices.requireWith(device_id, 'remote')
    await access.admit(device, token)
    const { result } = await access.execute(device, 'tap_coordinates', { x, y })
    if (!result.success)
      throw new LabError('host_error', { text: result.message, status: 500, errorType: 'host_error', extra: { device_id } })
    return { ...result, device_id: device.id }
  })

  app.post('/host/remote/takeScreenshot', async (request) => {
    const { device_id, token } = parseRequest(Target, request.body)
    const device = devices.requireWith(device_id, 'remote')
    await access.admit(device, token)
    return { success: true, screenshot: (await access.picture(device, 400)).toString('base64'), device_id: device.id }
  })

  app.post('/host/remote/screenshotAndDump', async (request) => {
    const { device_id, token } = parseRequest(Target, request.body)
    const device = devices.requireWith(device_id, 'remote')
    await access.admit(device, token)
    const signal = AbortSignal.timeout(screenTimeoutMs)
    const [picture, screen] = await Promise.allSettled([device.screenshot(signal), device.screen(signal)])
    const found = {
      ...(picture.status === 'fulfilled' && { screenshot: picture.value.data.toString('base64') }),
      ...(screen.status === 'fulfilled' && { elements: screen.value.elements }),
    }
    const failed = [picture, screen].find((one) => one.status === 'rejected')
    if (failed) {
      const text = `The device gave no ${failed === picture ? 'screenshot' : 'list of elements'}: ${reasonOf(failed.reason)}`
      throw new LabError('host_error', { text, status: 400, errorType: 'host_error', extra: { device_id, ...found } })
    }
    return { success: true, device_id: device.id, ...found }
  })

  app.post('/host/remote/dumpUi', async (request) => {
    const { device_id, token } = parseRequest(Target, request.body)
    const device = devices.requireWith(device_id, 'remote')
    await access.admit(device, token)
    const screen = await device.screen(AbortSignal.timeout(screenTimeoutMs)).catch((cause: unknown) => {
      const text = `The device gave no list of elements: ${reasonOf(cause)}`
      throw new LabError('host_error', { text, status: 400, errorType: 'host_error', cause })
    })
    return { success: true, elements: screen.elements, device_id: device.id }
  })

  app.post('/host/remote/getApps', async (request) => {
    const { device_id, token } = parseRequest(Target, request.body)
    const device = devices.requireWith(device_id, 'remote')
    await access.admit(device, token)
    const { result } = await access.execute(device, 'get_installed_apps')
    return { ...result, apps: result.apps ?? [], device_id: device.id }
  })

  app.post('/host/power/getStatus', async (request) => {
    const { device_id } = parseRequest(Target, request.body)
    const device = devices.requireWith(device_id, 'power')
    const { result } = await access.execute(device, 'power_status')
    return { ...result, device_id: device.id }
  })

  app.post('/host/power/executeCommand', async (request) => {
    const { device_id, token, command } = parseRequest(PowerCommand, request.body)
    const device = devices.requireWith(device_id, 'power')
    await access.admit(device, token)
    const { result } = await access.execute(device, command)
    return { ...result, device_id: device.id }
  })
}
