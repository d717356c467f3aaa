import type { Area, Clock, Element, Screen, Screenshot } from '../driver.ts'
import { settle } from './box-power.ts'
import { type BoxState, initialBox } from './box-state.ts'
import type { Drawing } from './draw/canvas.ts'
import { drawBox } from './draw/draw-box.ts'
import { createRenderer, type ImageType } from './draw/render.ts'
import { randomBetween } from './random.ts'

/** What the commands see of the box: its state at this moment, a way to change it, and its screen. */
export type BoxDevice = {
  clock: Clock
  state(): BoxState
  change(next: (state: BoxState, now: number) => BoxState): void
  /** How often somebody has changed it. */
  changes(): number
  /** Resolves when there was a change after that many, after the time, or with the signal. */
  changed(after: number, withinMs: number, signal: AbortSignal): Promise<void>
  /** The way of a key through the air and the box: 40 to 110 ms. */
  reactionTime(signal: AbortSignal): Promise<void>
  screen(area?: Area | null): Screen
  screenshot(): Promise<Screenshot>
  /** The picture as JPEG, or null when it is the one of the drawing that was given last time. */
  frame(before: string | null): Promise<{ drawn: string; shot: Screenshot } | null>
}

function isInside(element: Element, area: Area): boolean {
  const { left, top, right, bottom } = element.bounds
  return left < area.x + area.width && right > area.x && top < area.y + area.height && bottom > area.y
}

export function createBoxDevice(options: { clock: Clock; seed: number; imageType: ImageType }): BoxDevice & { forget(): void } {
  const { clock } = options
  const renderer = createRenderer(options.imageType)
  const live = createRenderer('jpeg')
  const waiting = new Set<() => void>()
  let changes = 0
  let box = initialBox(options.seed)

  function state(): BoxState {
    box = settle(box, clock.now())
    return box
  }

  function drawing(): Drawing {
    return drawBox(state(), clock.now())
  }

  return {
    clock,
    state,
    change(next) {
      box = next(state(), clock.now())
      changes += 1
      for (const wake of waiting) wake()
    },
    changes: () => changes,
    async changed(after, withinMs, signal) {
      if (changes !== after || signal.aborted) return
      const { promise, resolve } = Promise.withResolvers<void>()
      const end = (): void => resolve()
      const timer = setTimeout(end, withinMs)
      waiting.add(end)
      signal.addEventListener('abort', end, { once: true })
      await promise
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      waiting.delete(end)
    },
    async reactionTime(signal) {
      const drawn = randomBetween(state().seed, 40, 110)
      box = { ...box, seed: drawn.seed }
      await clock.sleep(drawn.value, signal)
    },
    screen(area) {
      const { texts, elements } = drawing()
      if (!area) return { texts, elements }
      const inside = elements.filter((element) => isInside(element, area))
      return { texts: inside.map((element) => element.text).filter((text) => text !== ''), elements: inside }
    },
    screenshot: () => renderer.render(drawing().svg),
    async frame(before) {
      const drawn = drawing().svg
      return drawn === before ? null : { drawn, shot: await live.render(drawn) }
    },
    forget() {
      renderer.forget()
      live.forget()
    },
  }
}
