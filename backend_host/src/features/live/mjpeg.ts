import type { FastifyReply, FastifyRequest } from 'fastify'
import type { PictureFeed } from './picture-feed.ts'

const boundary = 'vpt-frame'
export const mostFps = 25
/** More than this waiting in the socket is a viewer who cannot follow: newer pictures are worth more than all of them. */
const mostWaitingBytes = 64 * 1024
/** A still screen is sent again now and then: proxies close what is silent, and a lost viewer is noticed. */
const repeatMs = 5_000

/**
 * Pictures one after the other in one answer, as `multipart/x-mixed-replace`, which an img element shows. A viewer who
 * is slow gets fewer of them: what is waiting is never more than one picture, so the delay stays that of the line.
 */
export function sendMjpeg(feed: PictureFeed, fps: number, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  void reply.hijack()
  const { raw } = reply
  // Over the link there is no socket of one viewer.
  if (request.raw.httpVersionMajor === 1) raw.socket?.setNoDelay(true)
  raw.writeHead(200, {
    'content-type': `multipart/x-mixed-replace; boundary=${boundary}`,
    'cache-control': 'no-store',
    'access-control-allow-origin': '*',
    'x-accel-buffering': 'no',
    connection: 'close',
  })
  raw.write(`--${boundary}\r\n`)
  let sentAt = 0
  const send = (data: Buffer, at: number): void => {
    if (raw.writableLength > mostWaitingBytes || raw.destroyed) return
    sentAt = performance.now()
    raw.cork()
    raw.write(`content-type: image/jpeg\r\ncontent-length: ${data.length}\r\nx-timestamp: ${Math.round(at)}\r\n\r\n`)
    raw.write(data)
    // The next boundary at once: browsers show a part when they see that it has ended.
    raw.write(`\r\n--${boundary}\r\n`)
    raw.uncork()
  }
  const leave = feed.view({
    fps,
    onFrame: ({ data, at }) => {
      // One viewer may ask for less than another.
      if (performance.now() - sentAt >= 800 / fps) send(data, at)
    },
  })
  const repeat = setInterval(() => {
    const last = feed.last()
    if (last && performance.now() - sentAt > repeatMs) send(last.data, last.at)
  }, repeatMs)
  raw.on('close', () => {
    clearInterval(repeat)
    leave()
  })
  request.log.debug({ fps }, 'a viewer of the live picture came')
  return reply
}
