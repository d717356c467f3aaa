import { setTimeout as pause } from 'node:timers/promises'
import type { CDPSession, Page } from 'playwright-core'
import type { WatchOptions } from '../driver.ts'
import type { BrowserDevice } from './browser-device.ts'
import { viewport } from './chromium.ts'

const lookMs = 250
const picture = { format: 'jpeg', quality: 70 } as const
const castOptions = { ...picture, maxWidth: viewport.width, maxHeight: viewport.height, everyNthFrame: 1 } as const

/**
 * The page as Chromium paints it. Follows the view to other pages and to a browser that was started anew; does not start one
 * that was closed.
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
    await cast(session, options, ending)
    while (!signal.aborted && !ending.signal.aborted && device.current() === page)
      await pause(lookMs, undefined, { signal }).catch(() => undefined)
  } finally {
    ending.abort()
    // Of a page or browser that is gone there is nothing left to stop.
    await session.send('Page.stopScreencast').catch(() => undefined)
    await session.detach().catch(() => undefined)
  }
}

/**
 * still -(a picture of the cast)-> moving -(two pictures alike)-> still ...
 * A page that stands still is watched by a screencast, which costs nothing until something is painted. One that moves is
 * asked for a picture when one is due: a cast would copy everything it paints, 60 times a second, to send 12 of them, and slow
 * the page itself. Each cast begins with the page as it is, so that the last picture of a row is never left out.
 */
async function cast(session: CDPSession, { fps, onFrame }: WatchOptions, ending: AbortController): Promise<void> {
  let isMoving = false
  let isFirst = true
  let last = ''
  let size: { width: number; height: number } = viewport
  let dueAt = 0

  function handOn(data: string, at: number): void {
    last = data
    onFrame({ data: Buffer.from(data, 'base64'), ...size, at })
  }

  session.on('Page.screencastFrame', ({ data, metadata, sessionId }) => {
    // Pictures of a cast that is ending still come; those that are asked for are newer.
    if (ending.signal.aborted || isMoving) return
    const now = Date.now()
    size = { width: metadata.deviceWidth, height: metadata.deviceHeight }
    if (data !== last) handOn(data, Math.min(now, (metadata.timestamp ?? now / 1000) * 1000))
    if (isFirst) {
      isFirst = false
      // The page or the watching may have ended: then there is nobody to acknowledge to.
      session.send('Page.screencastFrameAck', { sessionId }).catch(() => undefined)
      return
    }
    isMoving = true
    dueAt = performance.now() + 1000 / fps()
    // Whatever it was, the page is watched anew.
    follow().catch(() => ending.abort())
  })

  /** Asks for pictures while there are new ones, then leaves the page to the cast again. */
  async function follow(): Promise<void> {
    await session.send('Page.stopScreencast')
    for (let before = ''; ; before = last) {
      await pause(Math.max(0, dueAt - performance.now()), undefined, { signal: ending.signal })
      const askedAt = Date.now()
      dueAt = Math.max(dueAt, performance.now()) + 1000 / fps()
      // None of a page that is just going elsewhere; the cast shows where it went.
      const shot = await session.send('Page.captureScreenshot', { ...picture, optimizeForSpeed: true }).catch(() => undefined)
      if (ending.signal.aborted) return
      if (shot === undefined || shot.data === before) break
      handOn(shot.data, askedAt)
    }
    isMoving = false
    await begin()
  }

  async function begin(): Promise<void> {
    isFirst = true
    await session.send('Page.startScreencast', castOptions)
  }

  await begin()
}
