import { get } from 'node:http'

export interface MjpegViewer {
  frames: { data: Buffer; at: number; receivedAt: number }[]
  /** Stops reading from the socket, as a viewer behind a narrow line. */
  hold(): void
  go(): void
  close(): void
}

/** A viewer of a live picture at its edge: what a browser receives, with the times. */
export async function readMjpeg(url: string): Promise<MjpegViewer> {
  const frames: MjpegViewer['frames'] = []
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`HTTP ${response.statusCode}`))
      let rest = Buffer.alloc(0)
      response.on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk])
        for (;;) {
          const end = rest.indexOf('\r\n\r\n')
          if (end < 0) return
          const head = rest.subarray(0, end).toString('latin1')
          const length = Number(/content-length: (\d+)/.exec(head)?.[1])
          if (rest.length < end + 4 + length) return
          const data = Buffer.from(rest.subarray(end + 4, end + 4 + length))
          frames.push({ data, at: Number(/x-timestamp: (\d+)/.exec(head)?.[1]), receivedAt: Date.now() })
          rest = rest.subarray(end + 4 + length)
        }
      })
      response.on('error', () => undefined)
      resolve({ frames, hold: () => response.pause(), go: () => response.resume(), close: () => void request.destroy() })
    })
    request.on('error', reject)
  })
}
