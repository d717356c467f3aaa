import { LabError } from '@virtualpytest/shared'
import { z } from 'zod'
import type { CommandResult } from '../../drivers/driver.ts'
import type { Device, Devices } from '../devices/index.ts'
import type { Fences } from '../leases/index.ts'

/** Longest time a person waits for a command; the server gives up earlier. */
const controlTimeoutMs = 120_000

export const target = { device_id: z.string().min(1).max(100).default('device1'), token: z.int().min(1).nullish() }
export const Target = z.object(target)
export const params = z.looseObject({}).nullish()
/** Web calls carry no device of their own: they act on the browser of this host. */
export const WebTarget = z.object({ device_id: z.string().max(100).nullish(), token: z.int().min(1).nullish() })

export interface Access {
  devices: Devices
  /** A call under an older lease than the newest one seen is refused; a newer one ends what runs under older ones. */
  admit(device: Device, token: number | null | undefined): Promise<void>
  execute(
    device: Device,
    command: string,
    given?: Record<string, unknown> | null,
  ): Promise<{ result: CommandResult; execution_time: number }>
  /** The browser device: the one of that name, or the only one there is. */
  browser(deviceId: string | null | undefined): Device
  picture(device: Device, status: 400 | 500): Promise<Buffer>
}

/** How every call of the server reaches a device: the newest lease first, an answer in time, failures by name. */
export function createAccess({ devices, fences }: { devices: Devices; fences: Fences }): Access {
  return {
    devices,
    async admit(device, token) {
      if (token == null) return
      fences.admit(device.id, token)
      await fences.save()
    },
    async execute(device, command, given) {
      const startedAt = performance.now()
      const result = await device.execute(command, given ?? {}, AbortSignal.timeout(controlTimeoutMs)).catch((cause: unknown) => {
        const text = 'The device did not answer in time.'
        throw new LabError('host_error', { text, status: 500, errorType: 'host_error', cause })
      })
      return { result, execution_time: Math.round(performance.now() - startedAt) }
    },
    browser(deviceId) {
      const own = devices.all.find((device) => device.id === 'host' && device.capabilities.web !== null)
      return own ?? devices.requireWith(deviceId ?? 'host', 'web')
    },
    async picture(device, status) {
      const shot = await device.screenshot(AbortSignal.timeout(controlTimeoutMs)).catch((cause: unknown) => {
        const text = `The device gave no screenshot: ${reasonOf(cause)}`
        throw new LabError('host_error', { text, status, errorType: 'host_error', cause })
      })
      return shot.data
    },
  }
}

/** Why, in one line: what drivers add after it is for developers. */
export function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause)
  return (text.trim().split('\n')[0] ?? '').slice(0, 300)
}
