import { execFile } from 'node:child_process'
import { LabError } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { Device, Devices } from '../devices/index.ts'
import type { MediaStore } from '../media/index.ts'
import { createHls, type HlsStream } from './hls.ts'
import { createPictureFeed, type PictureFeed } from './picture-feed.ts'

export interface LiveDevice {
  device: Device
  feed: PictureFeed
  /** Null without ffmpeg. */
  hls: HlsStream | null
}

export interface Live {
  readonly all: readonly LiveDevice[]
  /** Throws when the device is unknown. */
  of(deviceId: string): LiveDevice
  byCapture(capture: string): LiveDevice | undefined
  close(): Promise<void>
}

/** The moving pictures of all devices of this host. */
export function createLive(options: {
  devices: Devices
  media: MediaStore
  ffmpeg: string | null
  log: FastifyBaseLogger
}): Live {
  const { devices, media, ffmpeg, log } = options
  const all = devices.all.map((device): LiveDevice => {
    const feed = createPictureFeed(device, log)
    const folder = media.folderOf(device.capture, 'segments')
    const hls =
      ffmpeg === null ? null : createHls({ device, feed, folder, program: ffmpeg, log: log.child({ device_id: device.id }) })
    return { device, feed, hls }
  })
  return {
    all,
    of(deviceId) {
      const device = devices.require(deviceId)
      const found = all.find((one) => one.device === device)
      if (!found) throw new LabError('device_not_found')
      return found
    },
    byCapture: (capture) => all.find(({ device }) => device.capture === capture),
    async close() {
      await Promise.all(all.flatMap(({ hls }) => (hls ? [hls.close()] : [])))
      await Promise.all(all.map(({ feed }) => feed.close()))
    },
  }
}

/** The program if it is there and can make H.264. */
export async function findFfmpeg(program = 'ffmpeg'): Promise<string | null> {
  const encoders = await new Promise<string>((resolve) => {
    execFile(program, ['-hide_banner', '-encoders'], { timeout: 10_000 }, (error, out) => resolve(error ? '' : out))
  })
  return encoders.includes('libx264') ? program : null
}
