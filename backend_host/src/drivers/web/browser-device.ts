import type { Page } from 'playwright-core'
import type { Clock, Element } from '../driver.ts'
import { type Browser, findChromium, startChromium, viewport } from './chromium.ts'
import { collectElements, type ElementFilter } from './page-script.ts'

/**
 * The browser as the commands see it.
 * States: none -> starting -> running -> none. It falls back to none when it is closed, crashes or is killed; whoever
 * asks for a page then gets a new browser, empty and at about:blank.
 */
export type BrowserDevice = {
  clock: Clock
  page(signal: AbortSignal): Promise<Page>
  isRunning(): boolean
  /** The page in view, without starting anything. */
  current(): Page | null
  /** Waits for work of the page, at most until the signal or the deadline; a page that does not answer is thrown away. */
  ask<T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T>
  elements(filter: ElementFilter, signal: AbortSignal): Promise<Element[]>
  /** Where the element with this id of the last listing was. */
  xpathOf(id: string): string | null
  close(): Promise<void>
}

const pageAnswerMs = 10_000

export function createBrowserDevice(options: { clock: Clock; chromiumPath: string | null }): BrowserDevice {
  let starting: Promise<Browser> | null = null
  let running: Browser | null = null
  let active: Page | null = null
  let listed = new Map<string, string>()

  function follow(browser: Browser, page: Page): void {
    active = page
    page.setDefaultTimeout(pageAnswerMs)
    page.once('crash', () => {
      // The renderer is gone, the browser is not; closing the page lets the next call open another one.
      if (active === page) active = null
      page.close().catch(() => undefined)
    })
    page.once('close', () => {
      if (active === page) active = browser.context.pages().findLast((one) => one !== page && !one.isClosed()) ?? null
    })
  }

  async function start(): Promise<Browser> {
    const path = options.chromiumPath ?? findChromium()
    if (!path) throw new Error('No Chromium is installed on this host')
    const browser = await startChromium(path)
    browser.context.once('close', () => {
      if (running !== browser) return
      running = null
      active = null
      browser.close().catch(() => undefined)
    })
    // A link that opens a new page moves the view there, as it does for a person.
    browser.context.on('page', (page) => follow(browser, page))
    running = browser
    const first = browser.context.pages()[0]
    if (first) follow(browser, first)
    return browser
  }

  async function openBrowser(): Promise<Browser> {
    if (running) return running
    starting ??= start().finally(() => {
      starting = null
    })
    return starting
  }

  async function close(): Promise<void> {
    // Whoever closes during a start waits for it: otherwise the browser would stay behind.
    const browser = running ?? (await starting?.catch(() => null)) ?? null
    running = null
    active = null
    listed = new Map()
    await browser?.close()
  }

  async function ask<T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    const ended = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    return new Promise<T>((resolve, reject) => {
      const stop = () => {
        if (signal.aborted) return reject(signal.reason as Error)
        // A page in an endless loop answers nothing any more, not even a request to go elsewhere.
        const page = active
        active = null
        page?.close().catch(() => undefined)
        reject(new Error(`The page did not answer within ${timeoutMs} ms and was closed`))
      }
      ended.addEventListener('abort', stop, { once: true })
      work.then(resolve, reject).finally(() => ended.removeEventListener('abort', stop))
    })
  }

  async function page(signal: AbortSignal): Promise<Page> {
    const browser = await ask(openBrowser(), 60_000, signal)
    if (active && !active.isClosed()) return active
    const opened = await ask(browser.context.newPage(), pageAnswerMs, signal)
    await ask(opened.setViewportSize(viewport), pageAnswerMs, signal)
    return opened
  }

  async function elements(filter: ElementFilter, signal: AbortSignal): Promise<Element[]> {
    const current = await page(signal)
    const found = await ask(collectElements(current, filter), pageAnswerMs, signal)
    listed = new Map(found.flatMap((element) => (element.xpath ? [[element.id, element.xpath] as const] : [])))
    return found
  }

  return {
    clock: options.clock,
    page,
    isRunning: () => running !== null,
    current: () => (running && active && !active.isClosed() ? active : null),
    ask,
    elements,
    xpathOf: (id) => listed.get(id) ?? null,
    close,
  }
}
