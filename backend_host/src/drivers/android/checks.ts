import type { CommandSpec } from '../driver.ts'
import { defineCommand } from '../driver.ts'
import type { AndroidDevice } from './android-device.ts'
import { isInside } from './element-commands.ts'
import { findElement } from './ui-dump.ts'

const lookMs = 300

function elementCheck(name: string, label: string, wanted: boolean): CommandSpec<AndroidDevice> {
  return defineCommand({
    name,
    label,
    description: `Passes when the element ${wanted ? 'is' : 'is not'} on the screen`,
    offer: { verification: 'adb' },
    params: {
      search_term: {
        type: 'string',
        required: true,
        default: '',
        description: 'Text, description or id of the element',
        placeholder: 'Sign in',
      },
      timeout: { type: 'number', required: false, default: 0, min: 0, max: 100, description: 'Seconds to wait' },
    },
    run: async (device: AndroidDevice, values, signal) => {
      const term = values.search_term
      const start = device.clock.now()
      const end = start + values.timeout * 1000
      for (;;) {
        const look = await lookAt(device, term, signal)
        const now = device.clock.now()
        const isGood = look.isThere === wanted
        if (isGood || now >= end) {
          const more = {
            search_term: term,
            wait_time: Math.round(now - start) / 1000,
            ...(look.element && { element: look.element }),
          }
          if (look.isThere === null) return { success: false, message: look.problem, ...more }
          return { success: isGood, message: `"${term}" is ${look.isThere ? '' : 'not '}on the screen`, ...more }
        }
        await device.clock.sleep(Math.min(lookMs, end - now), signal)
      }
    },
  })
}

/** A screen that could not be read proves nothing, neither that the element is there nor that it is gone. */
async function lookAt(device: AndroidDevice, term: string, signal: AbortSignal) {
  try {
    const element = findElement(await device.elements(signal), term)
    return { isThere: element !== null, element, problem: '' }
  } catch (error) {
    signal.throwIfAborted()
    return { isThere: null, element: null, problem: error instanceof Error ? error.message : String(error) }
  }
}

export const adbChecks: readonly CommandSpec<AndroidDevice>[] = [
  elementCheck('waitForElementToAppear', 'Wait for element', true),
  elementCheck('waitForElementToDisappear', 'Wait until element is gone', false),
  defineCommand({
    name: 'getMenuInfo',
    label: 'Read screen',
    description: 'All texts of the screen, as the device itself names them',
    offer: { verification: 'adb' },
    params: { area: { type: 'area', required: false, default: null, description: 'Part of the screen' } },
    outputs: [
      { name: 'parsed_data', type: 'object' },
      { name: 'raw_dump', type: 'array' },
      { name: 'element_count', type: 'number' },
    ],
    run: async (device: AndroidDevice, { area }, signal) => {
      const all = await device.elements(signal)
      const elements = area ? all.filter((element) => isInside(element, area)) : all
      const texts = elements.map(({ text, contentDesc }) => text || contentDesc).filter((text) => text !== '')
      const output_data = { parsed_data: { texts }, raw_dump: elements, element_count: elements.length }
      return { success: true, message: `${elements.length} elements`, output_data }
    },
  }),
]
