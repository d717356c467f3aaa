import { setTimeout as pause } from 'node:timers/promises'
import type { CDPSession, Page } from 'playwright-core'
import type { WatchOptions } from '../driver.ts'
import type { BrowserDevice } from './browser-device.ts'
import { viewport } from './chromium.ts'

const lookMs = 250
const quality = 70

/**
 * The page as Chromium paints it: it sends a picture when something has changed, and the next one only after the last
 * was acknowledged, so the rate is set by when that is done. Follows the view to other pages and to a browser that was
 * started anew; does not start one that was closed.
 */
export async function watchPage(device: BrowserDevice, options: WatchOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const page = device.current()
    if (page) await castPage(device, page, options, signal).catch(() => undefined)
    await pause(lookMs, undefined, { signal }).catch(() => undefined)
  }
}

async function castPage(device: BrowserDevice, page: Page, options: WatchOptions, signal: AbortSignal): Promise<void> {
  const session = await page.context().newCDPSession(page)
  const ending = new AbortController()
  try {
    session.on('Page.screencastFrame', ({ data, metadata, sessionId }) => {
      const now = Date.now()
      const paintedAt = metadata.timestamp === undefined ? now : metadata.timestamp * 1000
      const { deviceWidth: width, deviceHeight: height } = metadata
      options.onFrame({ data: Buffer.from(data, 'base64'), width, height, at: Math.min(now, paintedAt) })
      // The page or the watching may have ended: then there is nobody to acknowledge to.
      acknowledge(session, sessionId, 1000 / options.fps(), ending.signal).catch(() => undefined)
    })
    const size = { maxWidth: viewport.width, maxHeight: viewport.height }
    await session.send('Page.startScreencast', { format: 'jpeg', quality, ...size, everyNthFrame: 1 })
    while (!signal.aborted && device.current() === page) await pause(lookMs, undefined, { signal }).catch(() => undefined)
  } finally {
    ending.abort()
    // Of a page or browser that is gone there is nothing left to stop.
    await session.send('Page.stopScreencast').catch(() => undefined)
    await session.detach().catch(() => undefined)
  }
}

async function acknowledge(session: CDPSession, sessionId: number, afterMs: number, signal: AbortSignal): Promise<void> {
  await pause(afterMs, undefined, { signal })
  await session.send('Page.screencastFrameAck', { sessionId })
}
