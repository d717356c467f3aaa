import type { CommandSpec } from '../driver.ts'
import { defineCommand } from '../driver.ts'
import { actionMs, done, refused, web } from './answers.ts'
import type { BrowserDevice } from './browser-device.ts'
import { describeTarget, findVisible, type Target, waitForVisible } from './locate.ts'

const optionalText = (description: string, placeholder = '') =>
  ({ type: 'string', required: false, default: null, description, placeholder }) as const
const target = {
  element_id: optionalText('Element id'),
  selector: optionalText('CSS selector', '#login'),
  text: optionalText('Text of the element', 'Log in'),
} as const
const targetNames = ['element_id', 'selector', 'text'] as const

/** Click and hover differ in one call; both wait until the element is there and can be used. */
function pointAt(name: string, label: string, act: 'click' | 'hover'): CommandSpec<BrowserDevice> {
  return defineCommand({
    name,
    label,
    description: `${label}, named by its text, CSS selector or id`,
    offer: web,
    params: target,
    anyOf: targetNames,
    input: 'text',
    run: async (device: BrowserDevice, values, signal) => {
      const page = await device.page(signal)
      const found = await waitForVisible(device, page, values, actionMs, signal)
      if (!found) return refused(`Element not found: ${describeTarget(values)}`)
      await device.ask(found[act]({ timeout: actionMs }), actionMs + 1000, signal)
      return done(`${act === 'click' ? 'Clicked' : 'Hovered'}: ${describeTarget(values)}`)
    },
  })
}

export const elementCommands: readonly CommandSpec<BrowserDevice>[] = [
  pointAt('click_element', 'Click element', 'click'),
  defineCommand({
    name: 'find_element',
    label: 'Find element',
    description: 'Whether an element is on the page now, and where',
    offer: web,
    params: target,
    anyOf: targetNames,
    input: 'text',
    run: async (device: BrowserDevice, values, signal) => {
      const page = await device.page(signal)
      const found = await findVisible(device, page, values, signal)
      if (!found) return refused(`Element not found: ${describeTarget(values)}`)
      const box = await device.ask(found.boundingBox(), actionMs, signal)
      const text = await device.ask(found.textContent({ timeout: actionMs }), actionMs + 1000, signal)
      return done(`Found: ${describeTarget(values)}`, { element: { text: (text ?? '').trim().slice(0, 1000), bounds: box } })
    },
  }),
  pointAt('hover_element', 'Hover element', 'hover'),
  defineCommand({
    name: 'input_text',
    label: 'Type text',
    description: 'Fills a field, replacing what is in it',
    offer: web,
    params: {
      selector: target.selector,
      element_id: target.element_id,
      text: { type: 'string', required: false, default: '', description: 'Text' },
      timeout: { type: 'number', required: false, default: 3000, min: 0, max: 60_000, description: 'Milliseconds' },
    },
    anyOf: ['selector', 'element_id'],
    input: 'text',
    run: async (device: BrowserDevice, values, signal) => {
      const page = await device.page(signal)
      const field: Target = { element_id: values.element_id, selector: values.selector, text: null }
      const found = await waitForVisible(device, page, field, values.timeout, signal)
      if (!found) return refused(`Element not found: ${describeTarget(field)}`)
      await device.ask(found.fill(values.text, { timeout: actionMs }), actionMs + 1000, signal)
      return done(`Typed into ${describeTarget(field)}`)
    },
  }),
  defineCommand({
    name: 'dump_elements',
    label: 'List elements',
    description: 'The elements of the page, with positions',
    offer: web,
    params: {
      element_types: {
        type: 'enum',
        required: false,
        default: 'all',
        choices: ['all', 'interactive', 'text'],
        description: 'Which',
      },
      include_hidden: { type: 'boolean', required: false, default: false, description: 'Also what cannot be seen' },
    },
    run: async (device: BrowserDevice, values, signal) => {
      const types = values.element_types === 'interactive' || values.element_types === 'text' ? values.element_types : 'all'
      const elements = await device.elements({ types, includeHidden: values.include_hidden }, signal)
      return done(`${elements.length} elements`, { elements })
    },
  }),
]
