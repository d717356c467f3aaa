import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../http/errors.ts'
import { toJpeg } from '../../vision/picture.ts'
import { type Access, Target, target } from '../control/index.ts'
import type { MediaStore } from '../media/index.ts'

const SaveScreenshot = z.object({
  ...target,
  filename: z.string().min(1).max(200),
  userinterface_name: z.string().min(1).max(200),
})

/** Pictures of a device on demand; called by the server, with its key. */
export function screenshotRoutes(app: FastifyInstance, { access, media }: { access: Access; media: MediaStore }): void {
  app.post('/host/av/takeScreenshot', async (request) => {
    const { device_id, token } = parseRequest(Target, request.body)
    const device = access.devices.require(device_id)
    await access.admit(device, token)
    const picture = await toJpeg(await access.picture(device, 500))
    const screenshot_url = await media.write(device.capture, 'captures', 'verification_source.jpg', picture)
    return { success: true, screenshot_url, device_id }
  })

  app.post('/host/av/saveScreenshot', async (request) => {
    const body = parseRequest(SaveScreenshot, request.body)
    const device = access.devices.require(body.device_id)
    await access.admit(device, body.token)
    const picture = await toJpeg(await access.picture(device, 500))
    const name = `navigation_${plainName(body.userinterface_name)}_${plainName(body.filename)}.jpg`
    const screenshot_url = await media.write(device.capture, 'references', name, picture)
    // The bytes too: whoever keeps the picture for good need not come back for it.
    return {
      success: true,
      screenshot_url,
      screenshot_path: screenshot_url,
      device_id: device.id,
      image_base64: picture.toString('base64'),
    }
  })
}

const plainName = (text: string): string =>
  text
    .replace(/\.(jpe?g|png)$/i, '')
    .replace(/[^A-Za-z0-9_-]/g, '_')
    .slice(0, 60)
