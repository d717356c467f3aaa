import { setTimeout } from 'node:timers/promises'
import { findImage, type ImageMatch, loadGray } from '../vision/find-image.ts'
import type { Area } from '../vision/picture.ts'
import { type Screen, screen, screenshot } from './device.ts'
import { CheckError } from './failures.ts'

export type WaitOptions = { timeoutMs?: number; intervalMs?: number }

const defaultTimeoutMs = 10_000
const defaultIntervalMs = 100

/** Asks until the answer is not null; the last question is asked when the time is over. */
async function poll<Answer>(options: WaitOptions, ask: () => Promise<Answer | null>): Promise<Answer | null> {
  const end = performance.now() + (options.timeoutMs ?? defaultTimeoutMs)
  for (;;) {
    const isLast = performance.now() >= end
    const answer = await ask()
    if (answer !== null || isLast) return answer
    await setTimeout(Math.max(1, Math.min(options.intervalMs ?? defaultIntervalMs, end - performance.now())))
  }
}

function findText(seen: Screen, text: string): string | null {
  const wanted = text.toLowerCase()
  return seen.texts.find((one) => one.toLowerCase().includes(wanted)) ?? null
}

function listTexts(seen: Screen | null): string {
  const texts = seen?.texts ?? []
  if (texts.length === 0) return 'There is no text on the screen.'
  const shown = texts.slice(0, 12).map((text) => `"${text}"`)
  return `On the screen: ${shown.join(', ')}${texts.length > shown.length ? ` and ${texts.length - shown.length} more` : ''}.`
}

/** Waits for any state of the screen; `what` says in the failure what was missing. */
export async function waitForScreen<Answer>(
  what: string,
  look: (seen: Screen) => Answer | null,
  options: WaitOptions = {},
): Promise<Answer> {
  let last: Screen | null = null
  const found = await poll(options, async () => {
    last = await screen()
    return look(last)
  })
  if (found !== null) return found
  throw new CheckError(`${what} did not appear within ${options.timeoutMs ?? defaultTimeoutMs} ms. ${listTexts(last)}`)
}

/** Waits for a text of the screen that contains `text`, in any case; gives the whole text. */
export async function waitForText(text: string, options: WaitOptions = {}): Promise<string> {
  return waitForScreen(`"${text}"`, (seen) => findText(seen, text), options)
}

export async function waitForTextToDisappear(text: string, options: WaitOptions = {}): Promise<void> {
  const gone = await poll(options, async () => (findText(await screen(), text) === null ? true : null))
  if (gone === null) throw new CheckError(`"${text}" was still there after ${options.timeoutMs ?? defaultTimeoutMs} ms`)
}

export type ImageOptions = WaitOptions & {
  /** 0 to 1; a picture that was only compressed reaches 0.95. */
  threshold?: number
  /** Where to look, in pixels of the screenshot. */
  area?: Area
}

/** Waits until a reference picture, a file or its bytes, is somewhere on the screen; says where and how sure. */
export async function waitForImage(reference: Buffer | string, options: ImageOptions = {}): Promise<ImageMatch> {
  const wanted = await loadGray(reference)
  const threshold = options.threshold ?? 0.8
  let best = 0
  const found = await poll({ intervalMs: 250, ...options }, async () => {
    const match = findImage(await loadGray(await screenshot()), wanted, options.area)
    best = Math.max(best, match?.confidence ?? 0)
    return match && match.confidence >= threshold ? match : null
  })
  if (found) return found
  const limit = options.timeoutMs ?? defaultTimeoutMs
  throw new CheckError(`The image did not appear within ${limit} ms (best match ${best.toFixed(2)}, needed ${threshold})`)
}
