import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'

/** How a host may say that a part begins; ours say their length, which is what makes parts cheap to tell apart. */
const mostHeadBytes = 4 * 1024
const mostPictureBytes = 8 * 1024 * 1024

export interface LivePictureOptions {
  boundary: string
  /** A viewer that takes nothing for so long is gone, without having said so. */
  stuckMs: number
}

/**
 * Passes the live picture of a host on. The host is always read at once and only the newest picture waits for the viewer, so
 * what a slow one gets is fewer pictures, never older ones, and nothing gathers on the way from the host. Ends with either side.
 */
export function passLivePicture(body: Readable, raw: ServerResponse, { boundary, stuckMs }: LivePictureOptions): void {
  let isBusy = false
  let newest: Picture | undefined
  let stuck: NodeJS.Timeout | undefined

  function send(): void {
    if (!newest || isBusy || raw.destroyed) return
    const { jpeg, timestamp } = newest
    newest = undefined
    const stamp = timestamp === undefined ? '' : `x-timestamp: ${timestamp}\r\n`
    const head = Buffer.from(`content-type: image/jpeg\r\ncontent-length: ${jpeg.length}\r\n${stamp}\r\n`)
    isBusy = !raw.write(Buffer.concat([head, jpeg, Buffer.from(`\r\n--${boundary}\r\n`)]))
    if (isBusy) stuck = setTimeout(() => raw.destroy(), stuckMs)
  }

  raw.socket?.setNoDelay(true)
  raw.write(`--${boundary}\r\n`)
  raw.on('drain', () => {
    clearTimeout(stuck)
    isBusy = false
    send()
  })
  raw.once('close', () => {
    clearTimeout(stuck)
    body.destroy()
  })
  raw.on('error', () => undefined)
  const read = createPartReader((picture) => {
    newest = picture
    send()
  })
  body.on('data', (chunk: Buffer) => {
    // Something else than pictures is not passed on, whatever it is.
    if (!read(chunk)) body.destroy()
  })
  body.on('error', () => undefined)
  // The client notices that there is no more, because the answer is cut off.
  body.once('close', () => raw.destroy())
}

interface Picture {
  jpeg: Buffer
  timestamp: string | undefined
}

/** Takes the bytes of a multipart answer as they come and gives its parts; false when it is none. */
function createPartReader(onPicture: (picture: Picture) => void): (chunk: Buffer) => boolean {
  let waiting: Buffer[] = []
  let bytes = 0
  let part: { length: number; timestamp: string | undefined } | undefined

  const gather = (): Buffer => {
    const all = waiting.length === 1 ? (waiting[0] ?? Buffer.alloc(0)) : Buffer.concat(waiting)
    waiting = [all]
    return all
  }
  const drop = (count: number): void => {
    waiting = [gather().subarray(count)]
    bytes -= count
  }

  return (chunk) => {
    waiting.push(chunk)
    bytes += chunk.length
    for (;;) {
      if (!part) {
        const end = gather().indexOf('\r\n\r\n')
        if (end < 0) return bytes <= mostHeadBytes
        const head = gather().subarray(0, end).toString('latin1')
        const length = Number(/^content-length: *(\d{1,9})$/im.exec(head)?.[1])
        if (end > mostHeadBytes || !(length <= mostPictureBytes)) return false
        part = { length, timestamp: /^x-timestamp: *(\d{1,16})$/im.exec(head)?.[1] }
        drop(end + 4)
      }
      if (bytes < part.length) return true
      onPicture({ jpeg: gather().subarray(0, part.length), timestamp: part.timestamp })
      drop(part.length)
      part = undefined
    }
  }
}
