import { type Clock, type Driver, definitionsOf, executeFrom } from '../driver.ts'
import { createBrowserDevice } from './browser-device.ts'
import { webChecks } from './checks.ts'
import { firstLine, viewport } from './chromium.ts'
import { elementCommands } from './element-commands.ts'
import { pageCommands } from './page-commands.ts'
import { watchPage } from './screencast.ts'

const commands = [...pageCommands, ...elementCommands, ...webChecks]

/** The picture goes out as the stream of a capture card does, because clients know how to show that one. */
const definitions = definitionsOf(commands, {
  av: 'hdmi_stream',
  remote: null,
  desktop: null,
  web: 'playwright',
  power: null,
  ai: null,
  verification: [],
})

const screenshotMs = 10_000
const asking: ReadonlySet<string> = new Set(commands.filter(({ onlyAsks }) => onlyAsks).map(({ name }) => name))

/** A real Chromium. After a crash the next command starts it anew, empty. */
export function createWebDriver(options: { clock: Clock; chromiumPath: string | null }): Driver {
  const { clock } = options
  const device = createBrowserDevice(options)
  let isOpen = false

  function mustBeOpen(signal: AbortSignal): void {
    signal.throwIfAborted()
    if (!isOpen) throw new Error('The browser device is not connected')
  }

  return {
    model: 'web',
    definitions,
    asking,
    async open(signal) {
      isOpen = true
      try {
        await device.page(signal)
      } catch (cause) {
        isOpen = false
        await device.close()
        throw cause
      }
    },
    async execute(command, params, signal) {
      signal.throwIfAborted()
      if (!isOpen && !asking.has(command))
        return { success: false, message: 'The browser device is not connected', error: 'The browser device is not connected' }
      const result = await executeFrom(commands, { device, command, params, signal, clock })
      // What Playwright adds after the first line is a call log for developers.
      return result.success ? result : { ...result, message: firstLine(result.message), error: firstLine(result.message) }
    },
    async screenshot(signal) {
      mustBeOpen(signal)
      const page = await device.page(signal)
      const data = await device.ask(page.screenshot({ type: 'png', timeout: screenshotMs }), screenshotMs + 1000, signal)
      return { data, contentType: 'image/png', ...(page.viewportSize() ?? viewport) }
    },
    async screen(signal) {
      mustBeOpen(signal)
      const elements = await device.elements({ types: 'all', includeHidden: false }, signal)
      return { texts: elements.map((element) => element.text).filter((text) => text !== ''), elements }
    },
    watch: (options, signal) => watchPage(device, options, signal),
    async close() {
      isOpen = false
      await device.close()
    },
  }
}
