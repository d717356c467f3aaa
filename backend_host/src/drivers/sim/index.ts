import { type Clock, type Driver, definitionsOf, executeFrom, measureLoudness, soundRate } from '../driver.ts'
import { createBoxDevice } from './box-device.ts'
import { audioLevel } from './box-power.ts'
import { boxCommands as commands } from './commands.ts'
import type { ImageType } from './draw/render.ts'
import { createTone } from './tone.ts'

const listenMs = 20

/** The picture, the remote and the plug are named as those of a real box behind a capture card. */
const definitions = definitionsOf(commands, {
  av: 'hdmi_stream',
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

  async function listen(onSamples: (samples: Int16Array) => void, signal: AbortSignal): Promise<void> {
    mustBeOpen(signal)
    const tone = createTone()
    let at = clock.now()
    let due = 0
    while (!signal.aborted) {
      await clock.sleep(listenMs, signal).catch(() => undefined)
      if (!isOpen) throw new Error('The simulated box is not connected')
      const now = clock.now()
      // A machine that stood still for a while has missed what was to be heard then.
      due += (Math.min(2000, now - at) / 1000) * soundRate
      const count = Math.floor(due)
      due -= count
      const state = device.state()
      if (count > 0 && !signal.aborted) onSamples(tone(count, audioLevel(state, now), state.channel))
      at = now
    }
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
    async watch({ fps, onFrame }, signal) {
      let before: string | null = null
      while (!signal.aborted) {
        mustBeOpen(signal)
        const started = performance.now()
        const at = Date.now()
        const changes = device.changes()
        const frame = await device.frame(before)
        if (frame) {
          before = frame.drawn
          onFrame({ data: frame.shot.data, width: frame.shot.width, height: frame.shot.height, at })
        }
        // Drawing never takes more than two thirds of a core, whatever was asked for; a change does not wait for that.
        const took = performance.now() - started
        await device.changed(changes, Math.max(1000 / fps() - took, took / 2, 5), signal)
      }
    },
    sound: (signal) => measureLoudness(listen, signal),
    listen,
    async close() {
      isOpen = false
      device.forget()
    },
  }
}
