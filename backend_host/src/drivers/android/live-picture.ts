import { setTimeout } from 'node:timers/promises'
import sharp from 'sharp'
import type { WatchOptions } from '../driver.ts'
import type { AndroidDevice } from './android-device.ts'

/** A device needs a good part of a second for a picture, and has something else to do, too. */
const mostFps = 5
const longestSide = 1280
const quality = 75

/**
 * One screenshot after the other, with a rest after each of at least half of the time that it took. A picture that is
 * the one before, byte by byte, is not handed on, so a still screen costs the viewers nothing.
 */
export async function watchScreen(device: AndroidDevice, { fps, onFrame }: WatchOptions, signal: AbortSignal): Promise<void> {
  let before: Buffer | null = null
  while (!signal.aborted) {
    const started = performance.now()
    const at = Date.now()
    try {
      const shot = await device.screenshot(signal)
      if (!before?.equals(shot.data)) {
        before = shot.data
        onFrame({ ...(await toFrame(shot.data)), at })
      }
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    const took = performance.now() - started
    const restMs = Math.max(1000 / Math.min(fps(), mostFps) - took, took / 2)
    await setTimeout(restMs, undefined, { signal }).catch(() => undefined)
  }
}

/** Phones have more pixels than a stream should. */
async function toFrame(png: Buffer): Promise<{ data: Buffer; width: number; height: number }> {
  const { data, info } = await sharp(png)
    .resize({ width: longestSide, height: longestSide, fit: 'inside', withoutEnlargement: true })
    .jpeg({ quality })
    .toBuffer({ resolveWithObject: true })
  return { data, width: info.width, height: info.height }
}
