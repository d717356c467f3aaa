import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Screenshot } from '../../drivers/driver.ts'
import { parseRequest } from '../../http/errors.ts'
import type { Device, Devices } from '../devices/index.ts'
import type { Fences } from '../leases/index.ts'

const screenshotTimeoutMs = 20_000
const screenshotFile = 'verification_source.jpg'
const TakeScreenshot = z.object({ device_id: z.string().min(1).max(100).default('device1'), token: z.int().min(1).nullish() })
const CaptureParams = z.object({ capture: z.string() })

export interface MediaContext {
  devices: Devices
  fences: Fences
  dataDir: string
}

/** Taking the picture of a device; called by the server, with its key. */
export function mediaRoutes(app: FastifyInstance, { devices, fences, dataDir }: MediaContext): void {
  app.post('/host/av/takeScreenshot', async (request) => {
    const { device_id, token } = parseRequest(TakeScreenshot, request.body)
    const device = devices.require(device_id)
    if (token != null) {
      fences.admit(device_id, token)
      await fences.save()
    }
    const picture = await device.screenshot(AbortSignal.timeout(screenshotTimeoutMs)).catch((cause: unknown) => {
      throw new LabError('host_error', { text: 'The device gave no screenshot.', status: 500, errorType: 'host_error', cause })
    })
    const capture = captureOf(device)
    const folder = path.join(dataDir, 'media', capture)
    await mkdir(folder, { recursive: true })
    // Renamed into place, so that a browser never loads half a picture.
    const beside = path.join(folder, `${screenshotFile}.${request.id}`)
    await writeFile(beside, await asJpeg(picture))
    await rename(beside, path.join(folder, screenshotFile))
    return { success: true, screenshot_url: `/host/stream/${capture}/captures/${screenshotFile}`, device_id }
  })
}

/** Pictures for browsers, which have no key. The folder is chosen from the devices, never made of the path asked for. */
export function publicMediaRoutes(app: FastifyInstance, { devices, dataDir }: MediaContext): void {
  app.get(`/host/stream/:capture/captures/${screenshotFile}`, async (request, reply) => {
    const { capture } = parseRequest(CaptureParams, request.params)
    const known = devices.all.map(captureOf).find((one) => one === capture)
    const picture =
      known === undefined ? undefined : await readFile(path.join(dataDir, 'media', known, screenshotFile)).catch(() => undefined)
    if (!picture) throw new LabError('not_found', { text: 'There is no such picture.' })
    void reply.headers({ 'access-control-allow-origin': '*', 'cache-control': 'no-store' })
    return reply.type('image/jpeg').send(picture)
  })
}

/** `capture1` for device1; the host's own desktop has the number 0 unless its settings name another folder. */
const captureOf = ({ id, config }: Device): string =>
  config.streamPath?.split('/').at(-1) ?? `capture${/^device(\d+)$/.exec(id)?.[1] ?? '0'}`

/** The protocol promises a JPEG; the library is loaded only where a driver renders PNG. */
async function asJpeg(picture: Screenshot): Promise<Buffer> {
  if (picture.contentType === 'image/jpeg') return picture.data
  const { default: sharp } = await import('sharp')
  return sharp(picture.data).jpeg({ quality: 85 }).toBuffer()
}
