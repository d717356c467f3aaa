import type { Locator, Page } from 'playwright-core'
import type { BrowserDevice } from './browser-device.ts'

/** How a caller names an element: by what it knows. */
export type Target = { element_id: string | null; selector: string | null; text: string | null }

const checkMs = 100

export function describeTarget(target: Target): string {
  if (target.selector) return `selector ${target.selector}`
  if (target.element_id) return `id ${target.element_id}`
  return `text ${target.text ?? ''}`
}

/**
 * The ways to read a name, the most exact first. Clients send whatever they have as `element_id`, so an id that is not one
 * is looked for as the label of something.
 */
function candidates(page: Page, device: BrowserDevice, target: Target): Locator[] {
  if (target.selector) return [page.locator(target.selector)]
  if (target.element_id) {
    const quoted = JSON.stringify(target.element_id)
    const byAttribute = ['id', 'data-testid', 'name', 'aria-label'].map((name) => page.locator(`[${name}=${quoted}]`))
    const xpath = device.xpathOf(target.element_id)
    const listed = xpath ? [page.locator(`xpath=${xpath}`)] : []
    return [...byAttribute, ...listed, ...byText(page, target.element_id)]
  }
  return byText(page, target.text ?? '')
}

function byText(page: Page, text: string): Locator[] {
  return [
    page.getByRole('button', { name: text, exact: true }),
    page.getByRole('link', { name: text, exact: true }),
    page.getByText(text, { exact: true }),
    page.getByLabel(text, { exact: true }),
    page.getByPlaceholder(text, { exact: true }),
    page.getByText(text),
    page.getByTitle(text),
    page.getByAltText(text),
  ]
}

async function firstVisible(locator: Locator): Promise<Locator | null> {
  const count = Math.min(await locator.count(), 50)
  for (let i = 0; i < count; i += 1) {
    const one = locator.nth(i)
    if (await one.isVisible()) return one
  }
  return null
}

/** The visible element that is meant, or null. A selector that cannot be read is an error, not an absence. */
export async function findVisible(
  device: BrowserDevice,
  page: Page,
  target: Target,
  signal: AbortSignal,
): Promise<Locator | null> {
  for (const candidate of candidates(page, device, target)) {
    const found = await device.ask(firstVisible(candidate), 5000, signal)
    if (found) return found
  }
  return null
}

export async function waitForVisible(
  device: BrowserDevice,
  page: Page,
  target: Target,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Locator | null> {
  const end = device.clock.now() + timeoutMs
  for (;;) {
    const found = await findVisible(device, page, target, signal)
    if (found || device.clock.now() >= end) return found
    await device.clock.sleep(checkMs, signal)
  }
}
