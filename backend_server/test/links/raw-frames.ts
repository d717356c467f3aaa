// HTTP/2 written by hand, for what no library would send.
import type { DialedLink } from './dial-link.ts'

export const frameTypes = {
  data: 0,
  headers: 1,
  rst: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const
const endStream = 1
const endHeaders = 4

export function frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

/** Literal header fields without names from any table. */
export const headerBlock = (fields: readonly (readonly [string, string])[]): Buffer =>
  Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))

/** Lengths from 127 on take more bytes. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length = [127]
  for (let rest = bytes.length - 127; ; rest >>= 7) {
    length.push(rest >= 128 ? (rest & 127) | 128 : rest)
    if (rest < 128) break
  }
  return Buffer.concat([Buffer.from(length), bytes])
}

/** A whole answer: its head and a body. */
export const answerFrames = (
  streamId: number,
  fields: readonly (readonly [string, string])[],
  body = '{"success":true}',
): Buffer =>
  Buffer.concat([
    frame(frameTypes.headers, endHeaders, streamId, headerBlock(fields)),
    frame(frameTypes.data, endStream, streamId, Buffer.from(body)),
  ])

/** Greets, and answers each call with what the function makes of its stream. The frames that came are handed on. */
export function serveRaw(link: DialedLink, answer: (streamId: number) => Buffer): void {
  let bytes = Buffer.alloc(0)
  let greeted = false
  link.socket.send(frame(frameTypes.settings, 0, 0))
  link.bytes.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    if (!greeted && bytes.length >= 24) {
      greeted = true
      bytes = bytes.subarray(24)
    }
    while (greeted && bytes.length >= 9) {
      const length = bytes.readUIntBE(0, 3)
      if (bytes.length < 9 + length) return
      const [type, flags, streamId] = [bytes[3], bytes[4] ?? 0, bytes.readUInt32BE(5)]
      bytes = bytes.subarray(9 + length)
      if (type === frameTypes.settings && (flags & 1) === 0) link.socket.send(frame(frameTypes.settings, 1, 0))
      if (type === frameTypes.headers) link.socket.send(answer(streamId))
    }
  })
}
