import type { Element } from '../driver.ts'

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decode(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w{2,5}));/gi,
    (whole, decimal?: string, hex?: string, name?: string) => {
      const code = decimal ? Number(decimal) : hex ? Number.parseInt(hex, 16) : null
      if (code === null) return entities[name ?? ''] ?? whole
      return code > 0x10ffff ? whole : String.fromCodePoint(code)
    },
  )
}

function attributesOf(tag: string): Map<string, string> {
  const pairs = tag.matchAll(/([\w:-]+)="([^"]*)"/g)
  return new Map(Array.from(pairs, ([, name = '', value = '']) => [name, decode(value)]))
}

function parseBounds(text: string): Element['bounds'] | null {
  const found = /^\[(-?\d+),(-?\d+)\]\[(-?\d+),(-?\d+)\]$/.exec(text)
  if (!found) return null
  const [left = 0, top = 0, right = 0, bottom = 0] = found.slice(1).map(Number)
  return right > left && bottom > top ? { left, top, right, bottom } : null
}

/**
 * What `uiautomator dump` wrote, as the elements that a person could name or touch; boxes that only hold others are
 * left out. The file is flat for this purpose: each node says where it is by itself.
 */
export function parseUiDump(xml: string): Element[] {
  const elements: Element[] = []
  for (const [tag] of xml.matchAll(/<node\b[^>"]*(?:"[^"]*"[^>"]*)*>/g)) {
    const attributes = attributesOf(tag)
    const value = (name: string): string => attributes.get(name) ?? ''
    const bounds = parseBounds(value('bounds'))
    const text = value('text')
    const contentDesc = value('content-desc')
    const resourceId = value('resource-id')
    const clickable = value('clickable') === 'true'
    const focused = value('focused') === 'true'
    if (!bounds || !(text || contentDesc || resourceId || clickable || focused)) continue
    elements.push({
      id: String(elements.length),
      text,
      className: value('class'),
      contentDesc,
      package: value('package'),
      bounds,
      clickable,
      enabled: value('enabled') !== 'false',
      xpath: null,
      focused,
      resourceId,
    })
  }
  return elements
}

/** The part of a resource id after the slash, which is what its program calls it. */
const shortId = (resourceId: string): string => resourceId.slice(resourceId.indexOf('/') + 1)

/** The element that a person means by a word: the whole text before a part of it, text before description before id. */
export function findElement(elements: readonly Element[], term: string): Element | null {
  const wanted = term.trim().toLowerCase()
  if (wanted === '') return null
  const looks: ((element: Element) => boolean)[] = [
    ({ text }) => text.trim().toLowerCase() === wanted,
    ({ contentDesc }) => contentDesc.trim().toLowerCase() === wanted,
    ({ resourceId = '' }) => resourceId.toLowerCase() === wanted || shortId(resourceId).toLowerCase() === wanted,
    ({ text }) => text.toLowerCase().includes(wanted),
    ({ contentDesc }) => contentDesc.toLowerCase().includes(wanted),
  ]
  for (const look of looks) {
    const found = elements.filter(look)
    const best = found.find((one) => one.enabled && one.clickable) ?? found.find((one) => one.enabled) ?? found[0]
    if (best) return best
  }
  return null
}

export function findByResourceId(elements: readonly Element[], id: string): Element | null {
  return elements.find(({ resourceId = '' }) => resourceId !== '' && (resourceId === id || shortId(resourceId) === id)) ?? null
}

export const centerOf = ({ bounds }: Element): { x: number; y: number } => ({
  x: Math.round((bounds.left + bounds.right) / 2),
  y: Math.round((bounds.top + bounds.bottom) / 2),
})
