import http from 'node:http'

export interface LiveViewer {
  frames: () => number
  close(): void
}

/**
 * A viewer of MJPEG as a browser is one: it shows the newest picture it has. `show` decodes; pictures that arrive meanwhile
 * make room for newer ones.
 */
export function openViewer(url: string, show: (jpeg: Buffer) => Promise<void>): Promise<LiveViewer> {
  let frames = 0
  let newest: Buffer | undefined
  let isShowing = false

  async function showNewest(): Promise<void> {
    if (isShowing) return
    isShowing = true
    while (newest) {
      const jpeg = newest
      newest = undefined
      await show(jpeg)
    }
    isShowing = false
  }

  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false }, (response) => {
      if (response.statusCode !== 200) {
        response.resume()
        reject(new Error(`${url} answered ${response.statusCode}`))
        return
      }
      let rest = Buffer.alloc(0)
      response.on('error', () => undefined)
      response.on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk])
        for (;;) {
          const end = rest.indexOf('\r\n\r\n')
          const length = Number(/content-length: (\d+)/.exec(rest.subarray(0, Math.max(0, end)).toString('latin1'))?.[1])
          if (end < 0 || rest.length < end + 4 + length) return
          newest = rest.subarray(end + 4, end + 4 + length)
          rest = rest.subarray(end + 4 + length)
          frames += 1
          showNewest().catch(reject)
        }
      })
      resolve({ frames: () => frames, close: () => void request.destroy() })
    })
    request.on('error', reject)
  })
}
