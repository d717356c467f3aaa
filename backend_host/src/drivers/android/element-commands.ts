import type { Area, CommandSpec, Element } from '../driver.ts'
import { defineCommand } from '../driver.ts'
import type { AndroidDevice } from './android-device.ts'
import { done, refused, remote } from './answers.ts'
import { tap } from './input-commands.ts'
import { centerOf, findByResourceId, findElement } from './ui-dump.ts'

const optionalText = (description: string, placeholder = '') =>
  ({ type: 'string', required: false, default: null, description, placeholder }) as const

/** An id names an element of the last listing, or by its resource id one that is on the screen now. */
async function byId(device: AndroidDevice, id: string, signal: AbortSignal): Promise<Element | null> {
  const listed = /^\d+$/.test(id) ? device.listed(id) : null
  return listed ?? findByResourceId(await device.elements(signal), id)
}

async function tapElement(device: AndroidDevice, element: Element | null, term: string, signal: AbortSignal) {
  if (!element) return refused(`Element not found: ${term}`)
  const { x, y } = centerOf(element)
  const tapped = await tap(device, x, y, signal)
  return tapped.success ? done(`Clicked: ${term}`, { element, x, y }) : tapped
}

export const clickElement = defineCommand({
  name: 'click_element',
  label: 'Click element',
  description: 'Taps an element, named by its text, description or id',
  offer: remote,
  params: {
    element_text: optionalText('Element text', 'Sign in'),
    text: optionalText('Text of the element'),
    element_id: optionalText('Element id'),
  },
  anyOf: ['element_text', 'text', 'element_id'],
  input: 'element_text',
  run: async (device: AndroidDevice, values, signal) => {
    const { element_id } = values
    const term = values.element_text || values.text
    const named = term ? findElement(await device.elements(signal), term) : null
    // Clients may send what was typed under both names.
    const element = named ?? (element_id ? await byId(device, element_id, signal) : null)
    return tapElement(device, element, term || element_id || '', signal)
  },
})

const clickById = defineCommand({
  name: 'click_element_by_id',
  label: 'Click element by id',
  description: 'Taps an element, named by its number in the last listing or by its resource id',
  offer: remote,
  params: {
    element_id: { type: 'string', required: true, default: '', description: 'Element id', placeholder: 'com.example:id/go' },
  },
  input: 'element_id',
  run: async (device: AndroidDevice, { element_id }, signal) =>
    tapElement(device, await byId(device, element_id, signal), element_id, signal),
})

const find = defineCommand({
  name: 'find_element',
  label: 'Find element',
  description: 'Whether an element is on the screen now, and where',
  offer: remote,
  params: { search_term: { type: 'string', required: true, default: '', description: 'Text, description or id' } },
  input: 'search_term',
  run: async (device: AndroidDevice, { search_term }, signal) => {
    const element = findElement(await device.elements(signal), search_term)
    if (!element) return refused(`Element not found: ${search_term}`, { matches: [] })
    return done(`Found: ${search_term}`, { element, matches: [element] })
  },
})

export const dumpElements = defineCommand({
  name: 'dump_elements',
  label: 'List elements',
  description: 'What is on the screen, with positions',
  offer: remote,
  params: {},
  run: async (device: AndroidDevice, _values, signal) => {
    const elements = await device.elements(signal)
    return done(`${elements.length} elements`, { elements })
  },
})

export const touchElementCommands: readonly CommandSpec<AndroidDevice>[] = [clickById, find]

export function isInside({ bounds }: Element, area: Area): boolean {
  const isBeside = bounds.right <= area.x || bounds.left >= area.x + area.width
  return !isBeside && bounds.bottom > area.y && bounds.top < area.y + area.height
}
