import { renderAsync } from '@resvg/resvg-js'
import sharp from 'sharp'
import type { Screenshot } from '../../driver.ts'
import { screenHeight, screenWidth } from './canvas.ts'

export type ImageType = 'png' | 'jpeg'

/** Texts are outlines already, so that no font is ever loaded here. */
const options = { font: { loadSystemFonts: false }, imageRendering: 0 } as const

const maxImages = 6

/**
 * Draws in the thread pool of Node, so that the agent goes on answering. The last pictures are kept by their
 * drawing: a screen on which nothing moves costs one comparison.
 */
export function createRenderer(imageType: ImageType): { render(svg: string): Promise<Screenshot>; forget(): void } {
  const images = new Map<string, Promise<Screenshot>>()

  async function encode(svg: string): Promise<Screenshot> {
    const drawn = await renderAsync(svg, options)
    const raw = { width: drawn.width, height: drawn.height, channels: 4 } as const
    const image = sharp(drawn.pixels, { raw }).removeAlpha()
    const encoded = imageType === 'png' ? image.png({ compressionLevel: 2 }) : image.jpeg({ quality: 88 })
    const data = await encoded.toBuffer()
    return { data, contentType: `image/${imageType}`, width: screenWidth, height: screenHeight }
  }

  async function render(svg: string): Promise<Screenshot> {
    const known = images.get(svg)
    if (known) return known
    const image = encode(svg)
    images.set(svg, image)
    for (const oldest of images.keys()) {
      if (images.size <= maxImages) break
      images.delete(oldest)
    }
    try {
      return await image
    } catch (cause) {
      images.delete(svg)
      throw cause
    }
  }

  return { render, forget: () => images.clear() }
}
