import { type Driver, definitionsOf, executeFrom } from '../driver.ts'
import { type AndroidDeviceOptions, createAndroidDevice } from './android-device.ts'
import { appCommands } from './app-commands.ts'
import { adbChecks } from './checks.ts'
import { clickElement, dumpElements, touchElementCommands } from './element-commands.ts'
import { inputText, pressKey, swipeCommands, tapCoordinates } from './input-commands.ts'
import { watchScreen } from './live-picture.ts'

export { type AdbKey, createAdbKey } from './adb-key.ts'
export type { AndroidDeviceOptions } from './android-device.ts'

export const androidModels = ['android_mobile', 'android_tv'] as const
export type AndroidModel = (typeof androidModels)[number]

const shared = [inputText, ...appCommands, tapCoordinates, clickElement, dumpElements, ...adbChecks]
const tables = {
  android_mobile: [pressKey('mobile'), ...shared, ...touchElementCommands, ...swipeCommands],
  android_tv: [pressKey('tv'), ...shared],
}

const away = 'The Android device is not connected'

/** A real phone or TV, over the debugging port that Android opens in the network. */
export function createAndroidDriver(options: AndroidDeviceOptions & { model: AndroidModel }): Driver {
  const { clock, model } = options
  const commands = tables[model]
  const device = createAndroidDevice(options)
  let isOpen = false

  function mustBeOpen(signal: AbortSignal): void {
    signal.throwIfAborted()
    if (!isOpen) throw new Error(away)
  }

  return {
    model,
    // The picture goes out as the stream of a capture card does, because clients know how to show that one.
    definitions: definitionsOf(commands, {
      av: 'hdmi_stream',
      remote: model,
      desktop: null,
      web: null,
      power: null,
      ai: null,
      verification: [],
    }),
    async open(signal) {
      await device.connect(signal)
      isOpen = true
    },
    async execute(command, params, signal) {
      signal.throwIfAborted()
      if (!isOpen) return { success: false, message: away, error: away }
      return executeFrom(commands, { device, command, params, signal, clock })
    },
    async screenshot(signal) {
      mustBeOpen(signal)
      return device.screenshot(signal)
    },
    async screen(signal) {
      mustBeOpen(signal)
      const elements = await device.elements(signal)
      return { texts: elements.map((element) => element.text).filter((text) => text !== ''), elements }
    },
    async watch(watching, signal) {
      mustBeOpen(signal)
      await watchScreen(device, watching, signal)
    },
    async close() {
      isOpen = false
      await device.close()
    },
  }
}
