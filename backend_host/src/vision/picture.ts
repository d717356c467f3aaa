/** Pictures as pixels, and what is done with them before anything is looked for. sharp is loaded at the first use. */
export type Area = { x: number; y: number; width: number; height: number }
/** Three bytes for each pixel: red, green, blue. */
export type Picture = { width: number; height: number; pixels: Uint8Array }
export type GrayImage = { width: number; height: number; levels: Uint8Array }
export type ImageFilter = 'none' | 'greyscale' | 'binary'

/** A screen of 8K has 33 million. A picture comes with a call, and one color packs a million times its size into a small file. */
const mostPixels = 40_000_000

export async function loadPicture(source: Buffer | string): Promise<Picture> {
  const { default: sharp } = await import('sharp')
  const image = sharp(source, { limitInputPixels: mostPixels }).flatten().toColorspace('srgb').raw()
  const { data, info } = await image.toBuffer({ resolveWithObject: true })
  if (info.channels === 3) return { width: info.width, height: info.height, pixels: data }
  // A gray picture has one value where a colored one has three.
  const pixels = new Uint8Array(info.width * info.height * 3)
  for (let i = 0; i < info.width * info.height; i += 1) pixels.fill(data[i * info.channels] ?? 0, i * 3, i * 3 + 3)
  return { width: info.width, height: info.height, pixels }
}

export function grayOf({ width, height, pixels }: Picture): GrayImage {
  const levels = new Uint8Array(width * height)
  for (let i = 0, at = 0; i < levels.length; i += 1, at += 3) {
    levels[i] = ((pixels[at] ?? 0) * 77 + (pixels[at + 1] ?? 0) * 150 + (pixels[at + 2] ?? 0) * 29) >> 8
  }
  return { width, height, levels }
}

export function filterGray(image: GrayImage, filter: ImageFilter): GrayImage {
  if (filter !== 'binary') return image
  return { ...image, levels: image.levels.map((level) => (level >= 128 ? 255 : 0)) }
}

/** The part of the area that lies inside of the picture, in whole pixels; null when none does. */
export function insideOf(picture: { width: number; height: number }, area: Area): Area | null {
  const x = Math.min(picture.width, Math.max(0, Math.round(area.x)))
  const y = Math.min(picture.height, Math.max(0, Math.round(area.y)))
  const right = Math.min(picture.width, Math.round(area.x + area.width))
  const bottom = Math.min(picture.height, Math.round(area.y + area.height))
  return right > x && bottom > y ? { x, y, width: right - x, height: bottom - y } : null
}

export async function cropImage(source: Buffer, area: Area): Promise<Buffer> {
  const { default: sharp } = await import('sharp')
  const { width, height } = await sharp(source).metadata()
  const part = insideOf({ width, height }, area)
  if (!part) throw new Error('The area lies outside of the picture')
  const extract = { left: part.x, top: part.y, width: part.width, height: part.height }
  return sharp(source).extract(extract).png().toBuffer()
}

/** The picture with a frame around the place that is meant. */
export async function drawFrame(source: Buffer, frame: Area, color: string): Promise<Buffer> {
  const { default: sharp } = await import('sharp')
  const { width, height } = await sharp(source).metadata()
  const { x, y } = frame
  const box = `<rect x="${x}" y="${y}" width="${frame.width}" height="${frame.height}" fill="none" stroke="${color}" stroke-width="4"/>`
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${box}</svg>`
  return sharp(source)
    .composite([{ input: Buffer.from(svg), left: 0, top: 0 }])
    .jpeg({ quality: 85 })
    .toBuffer()
}

export async function toJpeg(source: Buffer, size?: { width: number; height: number }): Promise<Buffer> {
  const { default: sharp } = await import('sharp')
  const image = sharp(source).flatten()
  return (size ? image.resize(size.width, size.height, { fit: 'inside' }) : image).jpeg({ quality: 85 }).toBuffer()
}
