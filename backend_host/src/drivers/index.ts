import type { Clock, Driver } from './driver.ts'
import { createSimDriver } from './sim/index.ts'
import { createWebDriver } from './web/index.ts'

export type { Clock, CommandResult, Driver, DriverDefinitions, Element, Screen, Screenshot } from './driver.ts'
export { findChromium } from './web/index.ts'

/** Everything a driver may need; each one takes what it knows. */
export type DriverOptions = {
  clock?: Clock
  /** sim: the same seed gives the same delays. */
  seed?: number
  /** sim: type of the screenshots. */
  imageType?: 'png' | 'jpeg'
  /** web: path of the browser; absent: looked for in the usual places. */
  chromiumPath?: string
}

const factories = { sim: createSimDriver, web: createWebDriver } satisfies Record<string, (options: DriverOptions) => Driver>

export type DriverKind = keyof typeof factories
export const driverKinds = Object.keys(factories) as DriverKind[]

export function isDriverKind(kind: string): kind is DriverKind {
  return Object.hasOwn(factories, kind)
}

/** The driver to use when the settings name only the device model; null: this agent cannot drive such a device. */
export function driverKindFor(model: string): DriverKind | null {
  if (model === 'stb') return 'sim'
  if (model === 'web') return 'web'
  return null
}

export function createDriver(kind: DriverKind, options: DriverOptions = {}): Driver {
  return factories[kind](options)
}
