import type { Clock, CommandResult, Screenshot } from '../../drivers/driver.ts'
import type { Ocr } from '../../vision/ocr.ts'
import type { Picture } from '../../vision/picture.ts'

/** Pictures that show why a check decided as it did, by URL. */
export type Evidence = { sourceUrl: string | null; referenceUrl: string | null; overlayUrl: string | null }
export type EvidencePictures = { source?: Buffer | undefined; reference?: Buffer | undefined; overlay?: Buffer | undefined }

/** What the checks see and hear of a device. One for each call, with what only that call knows. */
export type Eyes = {
  clock: Clock
  /** The screen now, or the picture that the caller named. */
  picture(signal: AbortSignal): Promise<Screenshot>
  /** Loudness from 0 to 100; null: the device lets nothing be heard. */
  sound: ((signal: AbortSignal) => Promise<number>) | null
  ocr: Ocr | null
  /** Presses a key of the device. */
  press(key: string, signal: AbortSignal): Promise<CommandResult>
  /** When a command last went to the device, in ms of the clock. */
  commandAt(): number
  /** What the monitor saw in its last looks, oldest first; waits for them. Null: this host has no monitor. */
  lastLooks: ((count: number, signal: AbortSignal) => Promise<Record<string, unknown>[]>) | null
  /** Throws with a sentence for the caller when there is no such reference. */
  reference(name: string): Promise<{ data: Buffer; picture: Picture; area: ReferenceArea | null }>
  /** Where a saved text is expected. */
  textArea(name: string): Promise<ReferenceArea | null>
  keep(pictures: EvidencePictures): Promise<Evidence>
}

export type ReferenceArea = { x: number; y: number; width: number; height: number }

const stepMs = 200

/**
 * Asks every 200 ms until the answer is good or the time is over; asks at least once, and once at the end. The last
 * answer is given back, because it tells what was there instead.
 */
export async function waitUntil<Answer>(
  clock: Clock,
  seconds: number,
  signal: AbortSignal,
  ask: () => Promise<Answer>,
  isGood: (answer: Answer) => boolean,
): Promise<{ isGood: boolean; last: Answer; waitedMs: number }> {
  const start = clock.now()
  const end = start + seconds * 1000
  for (;;) {
    const last = await ask()
    const now = clock.now()
    if (isGood(last) || now >= end) return { isGood: isGood(last), last, waitedMs: Math.round(now - start) }
    await clock.sleep(Math.min(stepMs, end - now), signal)
  }
}

export function verdict(success: boolean, yes: string, no: string, more: Record<string, unknown> = {}): CommandResult {
  return { success, message: success ? yes : no, ...more }
}

export const timeout = { type: 'number', required: false, default: 0, min: 0, max: 100, description: 'Seconds to wait' } as const
export const area = { type: 'area', required: false, default: null, description: 'Part of the screen' } as const
export const imageFilter = {
  type: 'enum',
  required: false,
  default: 'none',
  choices: ['none', 'greyscale', 'binary'],
  description: 'What is done with both pictures before they are compared',
} as const
export const duration = (seconds: number) =>
  ({ type: 'number', required: false, default: seconds, min: 0.1, max: 60, description: 'Seconds to watch' }) as const
export const percent = (value: number, description: string) =>
  ({ type: 'number', required: false, default: value, min: 0, max: 100, description }) as const
