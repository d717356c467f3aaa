import http from 'node:http'
import { readMjpegParts } from '../../../backend_server/test/mjpeg-parts.ts'

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
      response.on('error', () => undefined)
      response.on(
        'data',
        readMjpegParts((jpeg) => {
          newest = jpeg
          frames += 1
          showNewest().catch(reject)
        }),
      )
      resolve({ frames: () => frames, close: () => void request.destroy() })
    })
    request.on('error', reject)
  })
}
