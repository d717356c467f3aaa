import type { Driver, DriverDefinitions } from '../../src/drivers/driver.ts'

/** The smallest PNG there is: one transparent pixel. */
export const onePixel = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)

export interface FakeDriver extends Driver {
  /** Every command that reached the device. */
  commands: { command: string; params: Record<string, unknown> }[]
  isOpen: boolean
  /** The next screenshots fail with this. */
  pictureError: Error | undefined
}

/** A device at the edge: it remembers what reached it. The command `wait` lasts until it is aborted. */
export function createFakeDriver(capabilities: Partial<DriverDefinitions['device_capabilities']> = {}): FakeDriver {
  const fake: FakeDriver = {
    model: 'stb',
    definitions: {
      device_capabilities: {
        av: 'hdmi_stream',
        remote: 'ir_remote',
        desktop: null,
        web: null,
        power: null,
        ai: null,
        verification: [],
        ...capabilities,
      },
      device_action_types: {},
      device_verification_types: {},
    },
    commands: [],
    isOpen: false,
    pictureError: undefined,
    async open() {
      fake.isOpen = true
    },
    async execute(command, params, signal) {
      fake.commands.push({ command, params })
      if (command === 'wait') {
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
      }
      const success = command !== 'unknown'
      return { success, message: success ? 'done' : 'unknown command' }
    },
    async screenshot() {
      if (fake.pictureError) throw fake.pictureError
      return { data: onePixel, contentType: 'image/png', width: 1, height: 1 }
    },
    screen: async () => ({ texts: ['Home', 'Live TV'], elements: [] }),
    async close() {
      fake.isOpen = false
    },
  }
  return fake
}
