import { LabError } from '@virtualpytest/shared'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { newestOnly } from './newest-only.ts'
import type { Frame, PictureFeed } from './picture-feed.ts'

const boundary = 'vpt-frame'
export const mostFps = 25
/** Each has a socket and its share of every picture; more than a team that looks on means that somebody forgets to close. */
export const mostViewers = 16
/** A still screen is sent again now and then: proxies close what is silent, and a lost viewer is noticed. */
const repeatMs = 5_000
/** A viewer that takes nothing for so long is gone, without having said so: its picture must not be made for ever. */
const defaultStuckMs = 20_000

export interface MjpegOptions {
  feed: PictureFeed
  fps: number
  stuckMs?: number | undefined
}

/**
 * Pictures one after the other in one answer, as `multipart/x-mixed-replace`, which an img element shows. What waits in this
 * program for a viewer is never more than one picture, so the delay stays that of the line.
 */
export function sendMjpeg(options: MjpegOptions, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { feed, fps, stuckMs = defaultStuckMs } = options
  if (feed.state().viewers >= mostViewers) throw new LabError('too_many_viewers')
  void reply.hijack()
  const { raw } = reply
  // Over the link there is no socket of one viewer, and no connection to close after it.
  const isOwnSocket = request.raw.httpVersionMajor === 1
  if (isOwnSocket) raw.socket?.setNoDelay(true)
  raw.writeHead(200, {
    'content-type': `multipart/x-mixed-replace; boundary=${boundary}`,
    'cache-control': 'no-store',
    'access-control-allow-origin': '*',
    'x-accel-buffering': 'no',
    ...(isOwnSocket && { connection: 'close' }),
  })
  raw.write(`--${boundary}\r\n`)
  let sentAt = 0
  let isBusy = false
  let stuck: NodeJS.Timeout | undefined

  const pictures = newestOnly<Frame>({
    // A little less than the rate that was asked for: pictures do not come like clockwork.
    leastGapMs: 800 / fps,
    isBusy: () => isBusy || raw.destroyed,
    take({ data, at }) {
      sentAt = performance.now()
      const head = `content-type: image/jpeg\r\ncontent-length: ${data.length}\r\nx-timestamp: ${Math.round(at)}\r\n\r\n`
      // The next boundary at once: browsers show a part when they see that it has ended.
      isBusy = !raw.write(Buffer.concat([Buffer.from(head), data, Buffer.from(`\r\n--${boundary}\r\n`)]))
      if (isBusy) stuck = setTimeout(() => raw.destroy(), stuckMs)
    },
  })
  raw.on('drain', () => {
    clearTimeout(stuck)
    isBusy = false
    pictures.free()
  })
  const leave = feed.view({ fps, onFrame: (frame) => pictures.offer(frame) })
  const repeat = setInterval(() => {
    const last = feed.last()
    if (last && performance.now() - sentAt > repeatMs) pictures.offer(last)
  }, repeatMs)
  raw.once('close', () => {
    clearInterval(repeat)
    clearTimeout(stuck)
    pictures.close()
    leave()
  })
  request.log.debug({ fps }, 'a viewer of the live picture came')
  return reply
}
