import { setTimeout as pause } from 'node:timers/promises'
import type { CDPSession, Page } from 'playwright-core'
import type { WatchOptions } from '../driver.ts'
import type { BrowserDevice } from './browser-device.ts'
import { viewport } from './chromium.ts'

const lookMs = 250
/** After the last acknowledgment: a page that goes on painting has sent its next picture by then. */
const settleMs = { afterRow: 80, afterOne: 300, unanswered: 3000 }
const castOptions = {
  format: 'jpeg',
  quality: 70,
  maxWidth: viewport.width,
  maxHeight: viewport.height,
  everyNthFrame: 1,
} as const

/**
 * The page as Chromium paints it: it sends a picture when something has changed, and the next ones only after earlier ones
 * were acknowledged, so the rate is set by when that is done. Follows the view to other pages and to a browser that was
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
    await cast(session, options, ending.signal)
    while (!signal.aborted && device.current() === page) await pause(lookMs, undefined, { signal }).catch(() => undefined)
  } finally {
    ending.abort()
    // Of a page or browser that is gone there is nothing left to stop.
    await session.send('Page.stopScreencast').catch(() => undefined)
    await session.detach().catch(() => undefined)
  }
}

/**
 * Chromium has at most two pictures under way that are not acknowledged, and drops what it paints meanwhile, and more when the
 * machine is busy: also the last picture of a row, after which nothing comes any more. So once it is quiet, the cast is started
 * anew, which sends the page as it is, until that is the picture that came last.
 */
async function cast(session: CDPSession, { fps, onFrame }: WatchOptions, ending: AbortSignal): Promise<void> {
  let turn = 0
  let underWay = 0
  let hasDropped = false
  let isSettled = false
  let nextAckAt = 0
  let settling: NodeJS.Timeout | undefined
  let last = ''

  session.on('Page.screencastFrame', ({ data, metadata, sessionId }) => {
    if (ending.aborted) return
    clearTimeout(settling)
    hasDropped ||= underWay > 0
    underWay += 1
    const ackAt = Math.max(nextAckAt, performance.now())
    nextAckAt = ackAt + 1000 / fps()
    isSettled = data === last
    // The page or the watching may have ended: then there is nobody to acknowledge to.
    acknowledge(sessionId, ackAt).catch(() => undefined)
    if (isSettled) return
    last = data
    const now = Date.now()
    const paintedAt = metadata.timestamp === undefined ? now : metadata.timestamp * 1000
    const { deviceWidth: width, deviceHeight: height } = metadata
    onFrame({ data: Buffer.from(data, 'base64'), width, height, at: Math.min(now, paintedAt) })
  })

  async function acknowledge(sessionId: number, ackAt: number): Promise<void> {
    const own = turn
    const waitMs = ackAt - performance.now()
    if (waitMs > 0) await pause(waitMs, undefined, { signal: ending })
    await session.send('Page.screencastFrameAck', { sessionId })
    if (own !== turn) return
    underWay -= 1
    if (underWay === 0 && !isSettled) settleIn(hasDropped ? settleMs.afterRow : settleMs.afterOne)
  }

  function settleIn(ms: number): void {
    clearTimeout(settling)
    if (!ending.aborted) settling = setTimeout(() => void startAnew().catch(() => undefined), ms)
  }

  async function startAnew(): Promise<void> {
    turn += 1
    underWay = 0
    hasDropped = false
    settleIn(settleMs.unanswered)
    await session.send('Page.stopScreencast')
    await session.send('Page.startScreencast', castOptions)
  }

  ending.addEventListener('abort', () => clearTimeout(settling), { once: true })
  await session.send('Page.startScreencast', castOptions)
}
