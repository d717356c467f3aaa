import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../http/errors.ts'
import type { CheckContext } from './checks.ts'
import { GivenReferences } from './references.ts'

const kinds = ['image', 'text', 'audio', 'video', 'adb', 'appium', 'web'] as const
const checkTimeoutMs = 115_000

const Execute = z.object({
  device_id: z.string().min(1).max(100).default('device1'),
  token: z.int().min(1).nullish(),
  verification: z.looseObject({
    command: z.string().min(1).max(200),
    params: z.looseObject({}).nullish(),
    userinterface_name: z.string().max(300).nullish(),
  }),
  image_source_url: z.string().max(4000).nullish(),
  userinterface_name: z.string().max(300).nullish(),
  references: GivenReferences,
})

/** What this feature needs of a device; the devices themselves know this feature. */
export interface CheckableDevice {
  id: string
  check(
    call: { command: string; kind?: string; params: Record<string, unknown>; context?: CheckContext },
    signal: AbortSignal,
  ): Promise<{ success: boolean; message: string; [field: string]: unknown }>
}

export interface VerificationRouteOptions {
  requireDevice: (deviceId: string) => CheckableDevice
  requireBrowser: (deviceId: string | undefined) => CheckableDevice
  admit: (device: CheckableDevice, token: number | null | undefined) => Promise<void>
}

/** One check, answered when it is decided. The body of a check that failed is a 200, as on original hosts. */
export function verificationRoutes(app: FastifyInstance, options: VerificationRouteOptions): void {
  for (const kind of kinds) {
    app.post(`/host/verification/${kind}/execute`, async (request) => {
      const body = parseRequest(Execute, request.body)
      // Checks of a page go to the browser of this host, whatever device the caller names.
      const given = (request.body as { device_id?: unknown } | null)?.device_id
      const device =
        kind === 'web'
          ? options.requireBrowser(typeof given === 'string' ? given : undefined)
          : options.requireDevice(body.device_id)
      await options.admit(device, body.token)
      const { command, params, userinterface_name } = body.verification
      const context = {
        userinterface: userinterface_name ?? body.userinterface_name,
        imageSource: body.image_source_url,
        references: body.references,
      }
      const result = await device
        .check({ command, kind, params: params ?? {}, context }, AbortSignal.timeout(checkTimeoutMs))
        .catch((cause: unknown) => {
          throw new LabError('host_error', {
            text: 'The check did not end in time.',
            status: 500,
            errorType: 'host_error',
            cause,
          })
        })
      return { ...result, verification_type: kind, device_id: device.id }
    })
  }
}
