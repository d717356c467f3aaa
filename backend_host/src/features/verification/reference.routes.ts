import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../http/errors.ts'
import { guessLanguage } from '../../vision/guess-language.ts'
import { cropImage, toJpeg } from '../../vision/picture.ts'
import { removeBackground } from '../../vision/remove-background.ts'
import { type MediaStore, timedName } from '../media/index.ts'
import type { Checks } from './checks.ts'

const Area = z.object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() })
const ImageFilter = z.enum(['none', 'greyscale', 'binary']).nullish()
const source = {
  device_id: z.string().min(1).max(100).default('device1'),
  image_source_url: z.string().min(1).max(4000),
  reference_name: z.string().max(200).nullish(),
  userinterface_name: z.string().max(300).nullish(),
  area: Area.nullish(),
}
const CropImage = z.object({ ...source, area: Area })
const ProcessImage = z.object({
  ...source,
  remove_background: z.boolean().nullish(),
  image_filter: ImageFilter,
  autocrop: z.boolean().nullish(),
})
const SaveImage = z.object({
  ...source,
  reference_name: z.string().min(1).max(200),
  userinterface_name: z.string().min(1).max(300),
})
const DetectText = z.object({ ...source, image_filter: ImageFilter, language: z.string().max(50).nullish() })
const SaveText = z.object({
  device_id: source.device_id,
  text: z.string().min(1).max(10_000),
  reference_name: z.string().min(1).max(200),
  userinterface_name: z.string().min(1).max(300),
  area: Area.nullish(),
})
const readTimeoutMs = 60_000

export interface ReferenceRouteOptions {
  media: MediaStore
  checks: Checks
  captureOf: (deviceId: string) => string
}

/**
 * Making references from the pictures of this host. What cannot be done is a 200 with success false, as on original
 * hosts, with `error` beside `message`.
 */
export function referenceRoutes(app: FastifyInstance, { media, checks, captureOf }: ReferenceRouteOptions): void {
  /** A picture with transparent parts stays a PNG: a JPEG would paint them black. */
  const crops = async (deviceId: string, what: string, picture: Buffer, extension: 'jpg' | 'png' = 'jpg') => {
    const capture = captureOf(deviceId)
    const filename = timedName(what, extension)
    const data = extension === 'png' ? picture : await toJpeg(picture)
    const url = await media.write(capture, 'cropped', filename, data)
    return { url, filename }
  }

  app.post('/host/verification/image/cropImage', (request) => {
    const body = parseRequest(CropImage, request.body)
    return orRefusal(async () => {
      const { url, filename } = await crops(
        body.device_id,
        'crop',
        await cropImage(await media.read(body.image_source_url), body.area),
      )
      const more = { filename, area: body.area, source_was_url: true }
      return { message: 'Image cropped', image_cropped_path: url, image_cropped_url: url, ...more }
    })
  })

  app.post('/host/verification/image/processImage', (request) => {
    const body = parseRequest(ProcessImage, request.body)
    return orRefusal(async () => {
      const given = await media.read(body.image_source_url)
      const isCleared = body.remove_background ?? false
      const filter = body.image_filter ?? 'none'
      const { default: sharp } = await import('sharp')
      let picture = body.area ? await cropImage(given, body.area) : given
      if (body.autocrop) picture = await sharp(picture).trim().png().toBuffer()
      if (isCleared) picture = await removeBackground(picture)
      picture = await filtered(picture, filter)
      const { url, filename } = await crops(body.device_id, 'filtered', picture, isCleared ? 'png' : 'jpg')
      const operations = { autocrop: body.autocrop ?? false, remove_background: isCleared, image_filter: filter }
      return { message: 'Image processed', image_filtered_path: url, image_filtered_url: url, filename, operations }
    })
  })

  app.post('/host/verification/image/saveImage', (request) => {
    const body = parseRequest(SaveImage, request.body)
    return orRefusal(async () => {
      const given = await media.read(body.image_source_url)
      const { default: sharp } = await import('sharp')
      const whole = await sharp(given).png().toBuffer()
      const { width, height } = await sharp(given).metadata()
      // A crop is saved as it is; of a whole screen the area is cut out. The area says where to look later.
      const isWhole = body.area && (width > body.area.width + 1 || height > body.area.height + 1)
      const data = isWhole && body.area ? await cropImage(given, body.area) : whole
      await checks.references.save(body.reference_name, body.userinterface_name, data, body.area ?? null)
      const name = timedName('reference', 'png')
      const url = await media.write(captureOf(body.device_id), 'cropped', name, data)
      const reference_id = `${body.userinterface_name}/${body.reference_name}`
      const kept = { reference_name: body.reference_name, reference_id, r2_url: url, r2_path: url }
      // The bytes too: the server keeps references for all hosts.
      return { message: 'Reference saved', ...kept, area: body.area ?? null, image_base64: data.toString('base64') }
    })
  })

  app.post('/host/verification/text/detectText', (request) => {
    const body = parseRequest(DetectText, request.body)
    return orRefusal(async () => {
      if (!checks.ocr) throw new Error('Tesseract is not installed on this host')
      const given = await media.read(body.image_source_url)
      const options = { area: body.area ?? null, language: body.language ?? null }
      const looked = await filtered(given, body.image_filter ?? 'none')
      const reading = await checks.ocr.read(looked, options, AbortSignal.timeout(readTimeoutMs))
      const { url } = await crops(body.device_id, 'text', body.area ? await cropImage(given, body.area) : given)
      const heights = reading.lines.map(({ bounds }) => bounds.bottom - bounds.top).sort((a, b) => a - b)
      return {
        message: reading.text === '' ? 'No text was found' : 'Text found',
        extracted_text: reading.text,
        confidence: reading.confidence,
        language: guessLanguage(reading.text) ?? reading.language,
        font_size: heights[Math.floor(heights.length / 2)] ?? 0,
        image_textdetected_path: url,
        image_textdetected_url: url,
      }
    })
  })

  app.post('/host/verification/text/saveText', (request) => {
    const body = parseRequest(SaveText, request.body)
    return orRefusal(async () => {
      const { text, reference_name, userinterface_name, area } = body
      await checks.references.saveText(reference_name, userinterface_name, text, area ?? null)
      const reference_id = `${userinterface_name}/${reference_name}`
      return { message: 'Text reference saved', reference_name, reference_id, text_data: { text, ...area } }
    })
  })
}

/** In gray or in black and white; what is transparent stays so. */
async function filtered(picture: Buffer, filter: 'none' | 'greyscale' | 'binary'): Promise<Buffer> {
  if (filter === 'none') return picture
  const { default: sharp } = await import('sharp')
  const gray = sharp(picture).grayscale()
  return (filter === 'binary' ? gray.threshold(128) : gray).png().toBuffer()
}

async function orRefusal(work: () => Promise<Record<string, unknown>>): Promise<Record<string, unknown>> {
  try {
    return { success: true, ...(await work()) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { success: false, message, error: message }
  }
}
