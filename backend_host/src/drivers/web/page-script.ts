import type { Page } from 'playwright-core'
import { z } from 'zod'
import type { Element } from '../driver.ts'

/**
 * What runs inside the page. It is text, because it is compiled by the browser: the types of a document have no place
 * in the agent, and a build step must not rename anything in it.
 */
export type ElementFilter = { types: 'all' | 'interactive' | 'text'; includeHidden: boolean }

const collectSource = `(filter) => {
  const limit = 2000
  const interactive = 'a[href],button,input,select,textarea,summary,[role=button],[role=link],[role=tab],[role=menuitem],[role=checkbox],[role=switch],[onclick],[contenteditable=""],[contenteditable=true],[tabindex]:not([tabindex="-1"])'
  const clean = (text) => text.replace(/\\s+/g, ' ').trim().slice(0, 500)
  const ownText = (node) => clean([...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data).join(' '))
  const isHidden = (node, box) => {
    if (box.width <= 0 || box.height <= 0) return true
    if (!node.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return true
    return box.right <= 0 || box.bottom <= 0 || box.left >= innerWidth || box.top >= innerHeight
  }
  const xpathOf = (node) => {
    const parts = []
    for (let at = node; at && at.nodeType === 1; at = at.parentElement) {
      const tag = at.localName
      const same = at.parentElement ? [...at.parentElement.children].filter((one) => one.localName === tag) : [at]
      parts.unshift(same.length > 1 ? tag + '[' + (same.indexOf(at) + 1) + ']' : tag)
    }
    return '/' + parts.join('/')
  }
  const found = []
  for (const node of document.querySelectorAll('body *')) {
    if (found.length >= limit) break
    if (['script', 'style', 'template', 'noscript', 'head'].includes(node.localName) || node.namespaceURI !== 'http://www.w3.org/1999/xhtml') continue
    const clickable = node.matches(interactive)
    const isField = ['input', 'textarea', 'select'].includes(node.localName)
    let text = clickable && !isField ? clean(node.innerText || '') : ownText(node)
    if (isField) {
      const chosen = node.localName === 'select' ? [...node.selectedOptions].map((option) => option.text).join(', ') : node.value
      const isButton = ['submit', 'button', 'reset'].includes(node.type)
      text = node.type === 'password' ? '•'.repeat(node.value.length) : ['checkbox', 'radio'].includes(node.type) ? '' : clean(isButton ? node.value || 'Submit' : chosen)
    }
    const label = clean(node.getAttribute('aria-label') || node.getAttribute('alt') || node.getAttribute('placeholder') || node.getAttribute('title') || '')
    if (!clickable && text === '' && label === '') continue
    if (!clickable && !isField && node.parentElement && node.parentElement.closest(interactive)) continue
    if (filter.types === 'interactive' && !clickable) continue
    if (filter.types === 'text' && text === '') continue
    const box = node.getBoundingClientRect()
    if (!filter.includeHidden && isHidden(node, box)) continue
    found.push({
      id: node.id || 'e' + (found.length + 1),
      text,
      className: node.localName,
      contentDesc: label,
      package: location.host || location.protocol,
      bounds: { left: Math.round(box.left), top: Math.round(box.top), right: Math.round(box.right), bottom: Math.round(box.bottom) },
      clickable,
      enabled: !node.disabled,
      xpath: xpathOf(node),
      focused: node === document.activeElement,
    })
  }
  return found
}`

/** A page can replace what its own scripts return, so the answer is checked like any other input. */
const PageElement = z.object({
  id: z.string(),
  text: z.string(),
  className: z.string(),
  contentDesc: z.string(),
  package: z.string(),
  bounds: z.object({ left: z.number(), top: z.number(), right: z.number(), bottom: z.number() }),
  clickable: z.boolean(),
  enabled: z.boolean(),
  xpath: z.string(),
  focused: z.boolean(),
})

export async function collectElements(page: Page, filter: ElementFilter): Promise<Element[]> {
  const answer: unknown = await page.evaluate(`(${collectSource})(${JSON.stringify(filter)})`)
  return z.array(PageElement).max(2000).parse(answer)
}

const scrollSource = `([dx, dy]) => {
  const canMove = (node) => dy !== 0 ? node.scrollHeight > node.clientHeight + 1 : node.scrollWidth > node.clientWidth + 1
  const scrolls = (node) => /auto|scroll/.test(getComputedStyle(node)[dy !== 0 ? 'overflowY' : 'overflowX'])
  let target = document.elementFromPoint(innerWidth / 2, innerHeight / 2)
  while (target && !(canMove(target) && scrolls(target))) target = target.parentElement
  target = target || document.scrollingElement
  const before = [target.scrollLeft, target.scrollTop]
  target.scrollBy({ left: dx, top: dy, behavior: 'instant' })
  return { x: target.scrollLeft, y: target.scrollTop, moved: target.scrollLeft !== before[0] || target.scrollTop !== before[1] }
}`

/** Scrolls what a wheel in the middle of the page would scroll, at once and by exactly this much. */
export async function scrollPage(page: Page, dx: number, dy: number): Promise<{ x: number; y: number; moved: boolean }> {
  const answer: unknown = await page.evaluate(`(${scrollSource})(${JSON.stringify([dx, dy])})`)
  return z.object({ x: z.number(), y: z.number(), moved: z.boolean() }).parse(answer)
}
