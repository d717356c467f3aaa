import type { Page } from 'playwright-core'
import type { CommandSpec } from '../driver.ts'
import { defineCommand } from '../driver.ts'
import { readAddress } from './address.ts'
import { actionMs, done, refused, web } from './answers.ts'
import type { BrowserDevice } from './browser-device.ts'
import { firstLine, viewport } from './chromium.ts'
import { browserKey, keyNames } from './keys.ts'
import { scrollPage } from './page-script.ts'

const scriptMs = 30_000
const maxResultLength = 200_000

const pixel = { type: 'number', required: true, default: 0, min: 0, max: 10_000 } as const

async function pageInfo(device: BrowserDevice, page: Page, signal: AbortSignal): Promise<Record<string, unknown>> {
  const title = await device.ask(page.title(), actionMs, signal)
  const url = page.url()
  return { url, title, current_url: url, page_title: title, viewport: page.viewportSize() }
}

/** A script may be an expression, or statements that end with `return`, as callers are used to both. */
async function evaluate(page: Page, script: string): Promise<unknown> {
  try {
    return await page.evaluate(script)
  } catch (cause) {
    if (!/Illegal return statement/.test(firstLine(cause))) throw cause
    return page.evaluate(`(() => {${script}\n})()`)
  }
}

export const pageCommands: readonly CommandSpec<BrowserDevice>[] = [
  defineCommand({
    name: 'navigate_to_url',
    label: 'Open URL',
    description: 'Opens a page and waits until it is loaded',
    offer: web,
    params: {
      url: { type: 'string', required: true, default: '', description: 'URL', placeholder: 'https://example.org' },
      timeout: {
        type: 'number',
        required: false,
        default: null,
        min: 1,
        max: 110_000,
        description: 'Milliseconds, 30000 if absent',
      },
      wait_time: {
        type: 'number',
        required: false,
        default: null,
        min: 0,
        max: 110_000,
        description: 'Used when timeout is absent',
      },
      follow_redirects: { type: 'boolean', required: false, default: true, description: 'Wait for the last page' },
    },
    input: 'url',
    run: async (device: BrowserDevice, values, signal) => {
      const address = readAddress(values.url)
      if (!address) return refused('url must be an address of the web, such as https://example.org')
      const page = await device.page(signal)
      const timeout = values.timeout ?? (values.wait_time || 30_000)
      const waitUntil = values.follow_redirects ? 'load' : 'commit'
      const response = await device.ask(page.goto(address, { timeout, waitUntil }), timeout + 2000, signal)
      return done(`Opened ${page.url()}`, { ...(await pageInfo(device, page, signal)), status: response?.status() ?? null })
    },
  }),
  defineCommand({
    name: 'tap_x_y',
    label: 'Click at',
    description: 'Clicks at a point of the page',
    offer: web,
    params: { x: { ...pixel, description: 'x' }, y: { ...pixel, description: 'y' } },
    run: async (device: BrowserDevice, { x, y }, signal) => {
      const page = await device.page(signal)
      const size = page.viewportSize() ?? viewport
      if (x >= size.width || y >= size.height) return refused(`The point is outside of the page (${size.width} x ${size.height})`)
      await device.ask(page.mouse.click(x, y), actionMs, signal)
      return done(`Clicked at ${x}, ${y}`)
    },
  }),
  defineCommand({
    name: 'execute_javascript',
    label: 'Run JavaScript',
    description: 'Runs a script in the page and gives its result',
    offer: web,
    params: { script: { type: 'string', required: true, default: '', description: 'Script', placeholder: 'document.title' } },
    input: 'script',
    run: async (device: BrowserDevice, { script }, signal) => {
      const page = await device.page(signal)
      const result = await device.ask(evaluate(page, script), scriptMs, signal)
      const text = JSON.stringify(result) ?? 'null'
      if (text.length > maxResultLength) return refused(`The result is longer than ${maxResultLength} characters`)
      return done('Script executed', { result: result ?? null })
    },
  }),
  defineCommand({
    name: 'press_key',
    label: 'Press key',
    description: 'One key of the keyboard',
    offer: web,
    params: { key: { type: 'enum', required: true, default: '', choices: keyNames, description: 'Key', placeholder: 'ENTER' } },
    input: 'key',
    run: async (device: BrowserDevice, { key }, signal) => {
      const name = browserKey(key)
      if (!name) return refused(`There is no key ${key}`)
      const page = await device.page(signal)
      await device.ask(page.keyboard.press(name), actionMs, signal)
      return done(`Pressed ${key}`)
    },
  }),
  defineCommand({
    name: 'scroll',
    label: 'Scroll',
    description: 'Scrolls the page, or the list in the middle of it',
    offer: web,
    params: {
      direction: {
        type: 'enum',
        required: true,
        default: 'down',
        choices: ['up', 'down', 'left', 'right'],
        description: 'Direction',
      },
      amount: { type: 'number', required: false, default: 300, min: 0, max: 100_000, description: 'Pixels' },
    },
    input: 'direction',
    run: async (device: BrowserDevice, { direction, amount }, signal) => {
      const page = await device.page(signal)
      const distance = direction === 'up' || direction === 'left' ? -amount : amount
      const isVertical = direction === 'up' || direction === 'down'
      const place = await device.ask(scrollPage(page, isVertical ? 0 : distance, isVertical ? distance : 0), actionMs, signal)
      return done(place.moved ? `Scrolled ${direction}` : `The page is at its end (${direction})`, { position: place })
    },
  }),
  defineCommand({
    name: 'open_browser',
    label: 'Open browser',
    description: 'Starts the browser if it is not running',
    offer: web,
    params: {},
    run: async (device: BrowserDevice, _values, signal) => {
      const page = await device.page(signal)
      return done('The browser is open', { connected: true, ...(await pageInfo(device, page, signal)) })
    },
  }),
  defineCommand({
    name: 'close_browser',
    label: 'Close browser',
    description: 'Ends the browser; the next command starts an empty one',
    offer: web,
    params: {},
    run: async (device: BrowserDevice) => {
      await device.close()
      return done('The browser is closed', { connected: false })
    },
  }),
  defineCommand({
    name: 'get_page_info',
    label: 'Page info',
    description: 'Address and title of the page; does not start the browser',
    offer: web,
    params: {},
    onlyAsks: true,
    run: async (device: BrowserDevice, _values, signal) => {
      // Who only watches may ask this, too.
      if (!device.isRunning()) return refused('The browser is not running')
      const info = await pageInfo(device, await device.page(signal), signal)
      return done('Page info', info)
    },
  }),
  defineCommand({
    name: 'browser_status',
    label: 'Browser status',
    description: 'Whether the browser runs; does not start it',
    offer: null,
    params: {},
    onlyAsks: true,
    run: async (device: BrowserDevice, _values, signal) => {
      if (!device.isRunning()) return done('The browser is not running', { status: { connected: false } })
      const info = await pageInfo(device, await device.page(signal), signal)
      return done('The browser runs', { status: { connected: true, ...info } })
    },
  }),
  defineCommand({
    name: 'set_viewport_size',
    label: 'Set size',
    description: 'Size of the page in pixels',
    offer: null,
    params: {
      width: { type: 'number', required: true, default: viewport.width, min: 200, max: 4096 },
      height: { type: 'number', required: true, default: viewport.height, min: 200, max: 4096 },
    },
    run: async (device: BrowserDevice, values, signal) => {
      const page = await device.page(signal)
      const size = { width: Math.round(values.width), height: Math.round(values.height) }
      await device.ask(page.setViewportSize(size), actionMs, signal)
      return done(`The page is ${size.width} x ${size.height}`, { viewport: size })
    },
  }),
]
