import { type AndroidDeviceOptions, type AndroidModel, createAndroidDriver } from './android/index.ts'
import type { Clock, Driver } from './driver.ts'
import { createSimDriver } from './sim/index.ts'
import { systemClock } from './system-clock.ts'
import { createWebDriver } from './web/index.ts'

export { type AdbKey, createAdbKey } from './android/index.ts'
export type { Clock, CommandResult, Driver, DriverDefinitions, Element, Screen, Screenshot } from './driver.ts'
export { systemClock } from './system-clock.ts'
export { findChromium } from './web/chromium.ts'

export type DriverOptions = {
  clock?: Clock
  /** sim: the same seed gives the same delays; absent: other ones at every start. */
  seed?: number
  /** sim: type of the screenshots. */
  imageType?: 'png' | 'jpeg'
  /** web: path of the browser; absent: looked for in the usual places. */
  chromiumPath?: string
  /** android: which device, and the key by which it knows this agent. */
  android?: Omit<AndroidDeviceOptions, 'clock'> & { model: AndroidModel }
}

const factories = {
  sim: ({ clock = systemClock, seed = clock.now() >>> 0, imageType = 'png' }: DriverOptions): Driver =>
    createSimDriver({ clock, seed, imageType }),
  web: ({ clock = systemClock, chromiumPath }: DriverOptions): Driver =>
    createWebDriver({ clock, chromiumPath: chromiumPath ?? null }),
  android: ({ clock = systemClock, android }: DriverOptions): Driver => {
    if (!android) throw new Error('The android driver needs an address and a key')
    return createAndroidDriver({ clock, ...android })
  },
}

export type DriverKind = keyof typeof factories
export const driverKinds = Object.keys(factories).filter(isDriverKind)

export function isDriverKind(kind: string): kind is DriverKind {
  return Object.hasOwn(factories, kind)
}

/** The driver to use when the settings name only the device model; null: this agent cannot drive such a device. */
export function driverKindFor(model: string): DriverKind | null {
  if (model === 'stb') return 'sim'
  if (model === 'web') return 'web'
  if (model === 'android_mobile' || model === 'android_tv') return 'android'
  return null
}

export function createDriver(kind: DriverKind, options: DriverOptions = {}): Driver {
  return factories[kind](options)
}
