import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2'
import { Readable } from 'node:stream'

export interface AnswerOptions {
  /** How long the answer has said to be. */
  expected: number | undefined
  isLinkOpen: () => boolean
  failureOf: (error?: Error) => Error
  onBytes: (count: number) => void
}

/**
 * The body of an answer, as a stream of its own. An HTTP/2 stream says that it is closed as soon as its peer has sent
 * everything, read or not; `for await` and `pipeline` take that for an answer that broke off, so that a short one which came
 * in one piece would be lost. And Node ends a stream that was reset without a reason as if it were complete: the length shows.
 * To be called when the head of the answer arrives, not later.
 */
export function answerBody(stream: ClientHttp2Stream, { expected, isLinkOpen, failureOf, onBytes }: AnswerOptions): Readable {
  let received = 0
  const body = new Readable({
    read: () => void stream.resume(),
    destroy(error, done) {
      // Tells the host that nobody reads on.
      if (!stream.readableEnded) stream.close(constants.NGHTTP2_CANCEL)
      done(error)
    },
  })
  // For the moments in which nobody listens yet, or no more.
  body.on('error', () => undefined)
  stream.on('data', (chunk: Buffer) => {
    received += chunk.length
    onBytes(chunk.length)
    if (!body.push(chunk)) stream.pause()
  })
  stream.once('end', () => {
    if (expected === undefined ? isLinkOpen() : received === expected) body.push(null)
    else body.destroy(failureOf())
  })
  stream.once('error', (error) => body.destroy(failureOf(error)))
  stream.once('close', () => {
    if (!stream.readableEnded) body.destroy(failureOf())
  })
  return body
}

/** How many bytes the answer has, where it says so and has any. */
export function announcedBytes(method: string, status: number, headers: IncomingHttpHeaders): number | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return undefined
  const length = Number(headers['content-length'] ?? Number.NaN)
  return Number.isSafeInteger(length) ? length : undefined
}
