import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Frame } from '../../drivers/driver.ts'
import { toJpeg } from '../../vision/picture.ts'
import type { Device } from '../devices/index.ts'

export type { Frame } from '../../drivers/driver.ts'

/**
 * The moving picture of one device, made once for all who look.
 * States: idle -(first viewer)-> watching -(last one gone for two seconds)-> idle. A device that is lost is tried again
 * while somebody looks. An idle device costs nothing.
 */
export interface PictureFeed {
  /** Gives the last picture at once, then each new one, until the returned function is called. */
  view(viewer: { fps: number; onFrame: (frame: Frame) => void }): () => void
  /** Sees the pictures that others have asked for; asks for none itself. */
  listen(onFrame: (frame: Frame) => void): () => void
  last(): Frame | null
  state(): { viewers: number; frames: number; isWatching: boolean; isLost: boolean }
  close(): Promise<void>
}

const lingerMs = 2_000
const retryMs = { first: 500, most: 5_000 }
/** Drivers without a moving picture are asked for screenshots, gently. */
const mostPolledFps = 2

export function createPictureFeed(device: Device, log: FastifyBaseLogger): PictureFeed {
  const viewers = new Set<{ fps: number; onFrame: (frame: Frame) => void }>()
  const listeners = new Set<(frame: Frame) => void>()
  let stop: AbortController | undefined
  let running: Promise<void> = Promise.resolve()
  let lingering: NodeJS.Timeout | undefined
  let last: Frame | null = null
  let frames = 0
  /** The device gives no picture any more; the last one is old. */
  let isLost = false

  const fps = (): number => Math.max(1, ...[...viewers].map((viewer) => viewer.fps))
  function handOn(frame: Frame, signal: AbortSignal): void {
    // Made while the last viewer left: the next one must not see it.
    if (signal.aborted) return
    last = frame
    frames += 1
    isLost = false
    for (const { onFrame } of viewers) onFrame(frame)
    for (const listener of listeners) listener(frame)
  }

  async function poll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const at = Date.now()
      const shot = await device.screenshot(signal)
      const data = shot.contentType === 'image/jpeg' ? shot.data : await toJpeg(shot.data)
      handOn({ data, width: shot.width, height: shot.height, at }, signal)
      await pause(1000 / Math.min(mostPolledFps, fps()), undefined, { signal }).catch(() => undefined)
    }
  }

  async function watch(signal: AbortSignal): Promise<void> {
    let waitMs = retryMs.first
    while (!signal.aborted) {
      const before = frames
      try {
        await device.open(signal)
        if (device.driver.watch) await device.driver.watch({ fps, onFrame: (frame) => handOn(frame, signal) }, signal)
        else await poll(signal)
      } catch (error) {
        if (signal.aborted) return
        isLost = true
        log.warn({ err: error, device_id: device.id }, 'the live picture broke off; it is tried again')
      }
      waitMs = frames > before ? retryMs.first : Math.min(retryMs.most, waitMs * 2)
      await pause(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }

  function start(): void {
    clearTimeout(lingering)
    if (stop) return
    const own = new AbortController()
    stop = own
    running = running.then(() => watch(own.signal))
  }
  function end(): void {
    stop?.abort()
    stop = undefined
    // What comes first after a pause must not be a picture of the past.
    last = null
    isLost = false
  }

  return {
    view(viewer) {
      viewers.add(viewer)
      if (last) viewer.onFrame(last)
      start()
      return () => {
        if (!viewers.delete(viewer) || viewers.size > 0) return
        clearTimeout(lingering)
        lingering = setTimeout(end, lingerMs)
        lingering.unref()
      }
    },
    listen(onFrame) {
      listeners.add(onFrame)
      return () => void listeners.delete(onFrame)
    },
    last: () => last,
    state: () => ({ viewers: viewers.size, frames, isWatching: stop !== undefined, isLost }),
    async close() {
      clearTimeout(lingering)
      viewers.clear()
      listeners.clear()
      end()
      await running
    },
  }
}
