import type { CommandSpec } from '../driver.ts'
import { defineCommand } from '../driver.ts'
import type { BrowserDevice } from './browser-device.ts'
import { findVisible } from './locate.ts'

function elementCheck(name: string, label: string, wanted: boolean): CommandSpec<BrowserDevice> {
  return defineCommand({
    name,
    label,
    description: `Passes when the element ${wanted ? 'is' : 'is not'} on the page`,
    offer: { verification: 'web' },
    params: {
      search_term: {
        type: 'string',
        required: true,
        default: '',
        description: 'Text, id or CSS selector',
        placeholder: 'Log in',
      },
      timeout: { type: 'number', required: false, default: 10, min: 0, max: 600, description: 'Seconds to wait' },
      check_interval: {
        type: 'number',
        required: false,
        default: 1,
        min: 0.05,
        max: 60,
        description: 'Seconds between two looks',
      },
    },
    run: async (device: BrowserDevice, values, signal) => {
      const term = values.search_term
      const end = device.clock.now() + values.timeout * 1000
      for (;;) {
        const page = await device.page(signal)
        const found = await findTerm(device, page, term, signal).catch((cause: unknown) => {
          // The page was closed while it was looked at: the next look sees what is there instead.
          if (page.isClosed()) return undefined
          throw cause
        })
        const isThere = found === undefined ? !wanted : found !== null
        const left = end - device.clock.now()
        if (isThere === wanted || left <= 0) {
          const message = `"${term}" is ${isThere ? '' : 'not '}on the page`
          return { success: isThere === wanted, message, search_term: term }
        }
        await device.clock.sleep(Math.min(values.check_interval * 1000, left), signal)
      }
    },
  })
}

/** The term is a text or an id; what looks like a selector is also tried as one, and may fail to be one. */
async function findTerm(
  device: BrowserDevice,
  page: Awaited<ReturnType<BrowserDevice['page']>>,
  term: string,
  signal: AbortSignal,
) {
  const found = await findVisible(device, page, { element_id: term, selector: null, text: null }, signal)
  if (found || !/^[.#[]|>/.test(term)) return found
  return findVisible(device, page, { element_id: null, selector: term, text: null }, signal).catch(() => null)
}

export const webChecks: readonly CommandSpec<BrowserDevice>[] = [
  elementCheck('waitForElementToAppear', 'Wait for element', true),
  elementCheck('waitForElementToDisappear', 'Wait until element is gone', false),
  defineCommand({
    name: 'getMenuInfo',
    label: 'Read page',
    description: 'All texts of the page that can be seen',
    offer: { verification: 'web' },
    params: { area: { type: 'area', required: false, default: null, description: 'Part of the page' } },
    outputs: [
      { name: 'parsed_data', type: 'object' },
      { name: 'raw_dump', type: 'array' },
      { name: 'element_count', type: 'number' },
    ],
    run: async (device: BrowserDevice, { area }, signal) => {
      const all = await device.elements({ types: 'all', includeHidden: false }, signal)
      const elements = all.filter(({ bounds }) => {
        if (!area) return true
        const isBeside = bounds.right <= area.x || bounds.left >= area.x + area.width
        return !isBeside && bounds.bottom > area.y && bounds.top < area.y + area.height
      })
      const texts = elements.map((element) => element.text).filter((text) => text !== '')
      const output_data = { parsed_data: { texts }, raw_dump: elements, element_count: elements.length }
      return { success: true, message: `${elements.length} elements`, output_data }
    },
  }),
]
