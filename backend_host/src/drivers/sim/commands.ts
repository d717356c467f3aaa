import type { CommandResult, CommandSpec } from '../driver.ts'
import { defineCommand } from '../driver.ts'
import { apps, findApp } from './apps.ts'
import type { BoxDevice } from './box-device.ts'
import { pressKey, typeText } from './box-keys.ts'
import { powerOff, powerOn, showFault, startBox } from './box-power.ts'
import { faultKinds, launchApp, showHome } from './box-state.ts'
import { keyNames, labelOfKey } from './keys.ts'

const remote = { actions: 'remote', type: 'remote' } as const
const power = { actions: 'power', type: 'power' } as const
const simulation = { actions: 'simulation', type: 'remote' } as const

const appName = {
  type: 'string',
  required: true,
  default: '',
  description: 'Package or name of the app',
  placeholder: 'demo.streamly',
} as const

function done(message: string, more: Record<string, unknown> = {}): CommandResult {
  return { success: true, message, ...more }
}

function refused(message: string): CommandResult {
  return { success: false, message }
}

function powerWord(device: BoxDevice): 'on' | 'off' | 'standby' | 'starting' {
  const { mode } = device.state().power
  return mode === 'booting' ? 'starting' : mode
}

function turnOn(
  label: string,
  name: string,
  description: string,
  offer: typeof power | typeof simulation,
): CommandSpec<BoxDevice> {
  return defineCommand({
    name,
    label,
    description,
    offer,
    params: {},
    run: async (device: BoxDevice) => {
      if (powerWord(device) === 'off' && name !== 'reboot') return refused('The box is off')
      device.change(startBox)
      return done('The box starts anew')
    },
  })
}

export const boxCommands: readonly CommandSpec<BoxDevice>[] = [
  defineCommand({
    name: 'press_key',
    label: 'Press key',
    description: 'One key of the remote control',
    offer: remote,
    params: { key: { type: 'enum', required: true, default: '', choices: keyNames } },
    buttons: keyNames.map((key) => ({ id: `ir_press_key_${key.toLowerCase()}`, label: labelOfKey(key), params: { key } })),
    run: async (device: BoxDevice, { key }, signal) => {
      const name = keyNames.find((one) => one === key)
      if (!name) return refused(`There is no key ${key}`)
      await device.reactionTime(signal)
      device.change((state, now) => pressKey(state, name, now))
      return done(`Pressed ${name}`)
    },
  }),
  defineCommand({
    name: 'input_text',
    label: 'Type text',
    description: 'Types into the text field of the screen',
    offer: remote,
    params: { text: { type: 'string', required: true, default: '', description: 'Text', placeholder: 'ocean' } },
    input: 'text',
    run: async (device: BoxDevice, { text }, signal) => {
      await device.reactionTime(signal)
      const before = device.state()
      device.change((state) => typeText(state, text))
      if (device.state() === before) return refused('The screen has no text field now')
      return done('Text typed')
    },
  }),
  defineCommand({
    name: 'launch_app',
    label: 'Open app',
    description: 'Opens an app of the box',
    offer: remote,
    params: { package: appName },
    input: 'package',
    run: async (device: BoxDevice, values, signal) => {
      const app = findApp(values.package)
      if (!app) return refused(`There is no app ${values.package} (known: ${apps.map((one) => one.package).join(', ')})`)
      if (powerWord(device) !== 'on') return refused(`The box is ${powerWord(device)}`)
      await device.reactionTime(signal)
      device.change((state, now) => launchApp(state, app.id, now))
      return done(`${app.label} is opening`, { package: app.package })
    },
  }),
  defineCommand({
    name: 'close_app',
    label: 'Close app',
    description: 'Closes an app of the box and shows home',
    offer: remote,
    params: { package: appName },
    input: 'package',
    run: async (device: BoxDevice, values, signal) => {
      const app = findApp(values.package)
      if (!app) return refused(`There is no app ${values.package} (known: ${apps.map((one) => one.package).join(', ')})`)
      await device.reactionTime(signal)
      const { scene } = device.state()
      if (scene.name !== 'app' || scene.app !== app.id) return done(`${app.label} was not open`)
      device.change(showHome)
      return done(`${app.label} is closed`)
    },
  }),
  defineCommand({
    name: 'get_installed_apps',
    label: 'List apps',
    description: 'The apps of the box',
    offer: remote,
    params: {},
    run: async () => done(`${apps.length} apps`, { apps: apps.map((app) => ({ packageName: app.package, label: app.label })) }),
  }),
  defineCommand({
    name: 'dump_elements',
    label: 'List elements',
    description: 'What is on the screen, with positions',
    offer: remote,
    params: {},
    run: async (device: BoxDevice) => {
      const { elements } = device.screen()
      return done(`${elements.length} elements`, { elements })
    },
  }),
  defineCommand({
    name: 'tap_coordinates',
    label: 'Tap',
    description: 'Refused: a set-top box has no touch screen',
    offer: null,
    params: { x: { type: 'number', required: true, default: 0 }, y: { type: 'number', required: true, default: 0 } },
    run: async () => refused('A set-top box has no touch screen'),
  }),
  defineCommand({
    name: 'power_on',
    label: 'Power on',
    description: 'Switches the box on at the plug',
    offer: power,
    params: {},
    run: async (device: BoxDevice) => {
      device.change(powerOn)
      return done(`The box is ${powerWord(device)}`, { status: powerWord(device) })
    },
  }),
  defineCommand({
    name: 'power_off',
    label: 'Power off',
    description: 'Switches the box off at the plug',
    offer: power,
    params: {},
    run: async (device: BoxDevice) => {
      device.change(powerOff)
      return done('The box is off', { status: 'off' })
    },
  }),
  turnOn('Reboot', 'reboot', 'Off and on again at the plug', power),
  defineCommand({
    name: 'power_status',
    label: 'Power status',
    description: 'on, off, standby or starting',
    offer: null,
    params: {},
    run: async (device: BoxDevice) => done(`The box is ${powerWord(device)}`, { status: powerWord(device) }),
  }),
  defineCommand({
    name: 'sim_show',
    label: 'Simulate a fault',
    description: 'Black picture, frozen picture or no sound, for some seconds or until none is chosen',
    offer: simulation,
    params: {
      fault: { type: 'enum', required: true, default: 'none', choices: faultKinds, description: 'Fault' },
      seconds: { type: 'number', required: false, default: null, min: 0, max: 86_400, description: 'How long' },
    },
    input: 'fault',
    run: async (device: BoxDevice, { fault, seconds }) => {
      const kind = faultKinds.find((one) => one === fault) ?? 'none'
      device.change((state, now) => showFault(state, kind, seconds, now))
      return done(kind === 'none' ? 'No fault' : `Fault: ${kind}${seconds === null ? '' : ` for ${seconds} s`}`)
    },
  }),
  turnOn('Simulate a crash', 'sim_reboot', 'The box restarts by itself', simulation),
]
