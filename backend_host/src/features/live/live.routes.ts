import { LabError } from '@virtualpytest/shared'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseRequest } from '../../http/errors.ts'
import { type Access, Target, target } from '../control/index.ts'
import type { Live, LiveDevice } from './live.ts'
import { mostFps, sendMjpeg } from './mjpeg.ts'

const Query = z.object({ device_id: z.string().min(1).max(100).default('device1') })
const RestartStream = z.object({ ...target, quality: z.enum(['low', 'sd', 'hd']).default('sd') })
const MjpegQuery = z.object({ fps: z.coerce.number().min(0.2).max(mostFps).catch(12) })

/** The live picture for browsers, which have no key. */
export function publicLiveRoutes(app: FastifyInstance, { live, stuckMs }: { live: Live; stuckMs?: number | undefined }): void {
  app.get('/host/stream/:capture/live.mjpeg', (request, reply) => {
    const found = live.byCapture((request.params as { capture: string }).capture)
    if (!found) throw new LabError('not_found', { text: 'There is no such stream.' })
    const { fps } = parseRequest(MjpegQuery, request.query)
    return sendMjpeg({ feed: found.feed, fps, stuckMs }, request, reply)
  })
}

export interface LiveRouteOptions {
  live: Live
  access: Access
  /** URL of this host for browsers. */
  hostUrl: () => string
}

export function liveRoutes(app: FastifyInstance, { live, access, hostUrl }: LiveRouteOptions): void {
  const statusOf = ({ device, feed, hls }: LiveDevice) => {
    const { viewers, frames, isWatching } = feed.state()
    const stream = hls?.state()
    return {
      is_capturing: isWatching,
      viewers,
      frames,
      stream: stream
        ? {
            status: stream.isRunning ? 'active' : 'stopped',
            quality: stream.quality,
            restarts: stream.restarts,
            pinned: stream.isPinned,
          }
        : { status: 'unknown', error: 'ffmpeg is not installed on this host' },
      av: device.capabilities.av,
    }
  }
  const requireHls = (found: LiveDevice) => {
    if (found.hls) return found.hls
    throw new LabError('not_implemented', { text: 'ffmpeg is not installed on this host.', errorType: 'stream_service_error' })
  }

  app.get('/host/av/getStreamUrl', (request) => {
    const { device_id } = parseRequest(Query, request.query)
    const { device } = live.of(device_id)
    const base = hostUrl()
    const stream = `/host/stream/${device.capture}/segments/output.m3u8`
    const mjpeg = `/host/stream/${device.capture}/live.mjpeg`
    // Relative on a local network, where the web app knows the host by another address than this program does.
    const prefix = isLocalAddress(base) ? '' : base
    return { success: true, stream_url: prefix + stream, mjpeg_url: prefix + mjpeg, device_id: device.id }
  })

  app.get('/host/av/status', (request) => {
    const { device_id } = parseRequest(Query, request.query)
    return { success: true, status: statusOf(live.of(device_id)), device_id, timestamp: Date.now() / 1000 }
  })

  for (const [route, isPinned] of [
    ['startCapture', true],
    ['stopCapture', false],
  ] as const) {
    app.post(`/host/av/${route}`, async (request) => {
      const { device_id, token } = parseRequest(Target, request.body)
      const found = live.of(device_id)
      await access.admit(found.device, token)
      requireHls(found).pin(isPinned)
      return {
        success: true,
        message: isPinned ? 'The stream is kept running' : 'The stream runs while it is watched',
        device_id,
      }
    })
  }

  app.post('/host/system/restartHostStreamService', async (request) => {
    const { device_id, token, quality } = parseRequest(RestartStream, request.body)
    const found = live.of(device_id)
    await access.admit(found.device, token)
    requireHls(found).restart(quality)
    return { success: true, restarted: true, device_id, quality, message: `The stream is sent in quality ${quality}` }
  })
}

function isLocalAddress(base: string): boolean {
  const host = URL.parse(base)?.hostname ?? ''
  return /^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[::1\])/.test(host)
}
