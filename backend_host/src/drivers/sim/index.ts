import { type Clock, type Driver, definitionsOf, executeFrom } from '../driver.ts'
import { createBoxDevice } from './box-device.ts'
import { boxChecks } from './checks.ts'
import { boxCommands } from './commands.ts'
import type { ImageType } from './draw/render.ts'

const commands = [...boxCommands, ...boxChecks]

/** `av` is null because there is no video stream; the remote and the plug are named as those of a real box. */
const definitions = definitionsOf(commands, {
  av: null,
  remote: 'ir_remote',
  desktop: null,
  web: null,
  power: 'tapo',
  ai: null,
  verification: [],
})

/** A simulated set-top box. Like a real one it goes on while nobody is connected: close() only ends the connection. */
export function createSimDriver(options: { clock: Clock; seed: number; imageType: ImageType }): Driver {
  const { clock } = options
  const device = createBoxDevice(options)
  let isOpen = false

  function mustBeOpen(signal: AbortSignal): void {
    signal.throwIfAborted()
    if (!isOpen) throw new Error('The simulated box is not connected')
  }

  return {
    model: 'stb',
    definitions,
    async open(signal) {
      signal.throwIfAborted()
      isOpen = true
    },
    async execute(command, params, signal) {
      signal.throwIfAborted()
      if (!isOpen)
        return { success: false, message: 'The simulated box is not connected', error: 'The simulated box is not connected' }
      return executeFrom(commands, { device, command, params, signal, clock })
    },
    async screenshot(signal) {
      mustBeOpen(signal)
      return device.screenshot()
    },
    async screen(signal) {
      mustBeOpen(signal)
      return device.screen()
    },
    async close() {
      isOpen = false
      device.forget()
    },
  }
}
