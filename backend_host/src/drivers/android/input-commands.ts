import type { CommandSpec } from '../driver.ts'
import { defineCommand } from '../driver.ts'
import type { AndroidDevice } from './android-device.ts'
import { done, refused, remote, runOrExplain } from './answers.ts'
import { keyCodes, labelOfKey } from './keys.ts'
import { mostTextLength, quoted, typedParts, typeLine, untypable } from './shell-text.ts'

const pixel = (description: string) => ({ type: 'number', required: true, default: 0, min: 0, max: 20_000, description }) as const
const textMs = 30_000

export function pressKey(kind: 'mobile' | 'tv'): CommandSpec<AndroidDevice> {
  const codes = keyCodes[kind]
  const names = Object.keys(codes)
  return defineCommand({
    name: 'press_key',
    label: 'Press key',
    description: 'One key of the device or its remote control',
    offer: remote,
    params: { key: { type: 'enum', required: true, default: '', choices: names } },
    buttons: names.map((key) => ({ id: `press_key_${key.toLowerCase()}`, label: labelOfKey(key), params: { key } })),
    run: async (device: AndroidDevice, { key }, signal) => {
      const { problem } = await runOrExplain(device, `input keyevent ${codes[key]}`, signal)
      return problem ? refused(`The device did not take the key ${key}: ${problem}`) : done(`Pressed ${key}`)
    },
  })
}

const onlyAscii = 'its keyboard cannot type characters other than ASCII; the app ADBKeyboard as its keyboard can'

/** A keyboard app for tests that takes any text by broadcast, where somebody has made it the keyboard of the device. */
async function hasAdbKeyboard(device: AndroidDevice, signal: AbortSignal): Promise<boolean> {
  const { text } = await runOrExplain(device, 'settings get secure default_input_method', signal)
  return text.startsWith('com.android.adbkeyboard/')
}

async function sendToAdbKeyboard(device: AndroidDevice, text: string, signal: AbortSignal) {
  const message = Buffer.from(text, 'utf8').toString('base64')
  const { text: answer, problem } = await runOrExplain(
    device,
    `am broadcast -a ADB_INPUT_B64 --es msg ${quoted(message)}`,
    signal,
  )
  if (problem || !answer.includes('Broadcast completed')) return refused(`The device did not take the text: ${problem ?? answer}`)
  return done('Text typed')
}

export const inputText = defineCommand({
  name: 'input_text',
  label: 'Type text',
  description: 'Types into the field that has the focus',
  offer: remote,
  params: { text: { type: 'string', required: true, default: '', description: 'Text', placeholder: 'hello' } },
  input: 'text',
  run: async (device: AndroidDevice, { text }, signal) => {
    if (text.length > mostTextLength) return refused(`The text is longer than ${mostTextLength} characters`)
    const bad = untypable(text)
    if (bad) return refused(`The text has a character that cannot be typed: ${bad}`)
    const isPlain = /^[\n\r\t -~]*$/.test(text)
    if (!isPlain && (await hasAdbKeyboard(device, signal))) return sendToAdbKeyboard(device, text, signal)
    for (const part of typedParts(text)) {
      const line = 'key' in part ? `input keyevent ${keyCodes.mobile[part.key]}` : typeLine(part.text)
      const { problem } = await runOrExplain(device, line, signal, { timeoutMs: textMs })
      if (!problem) continue
      return refused(`The device did not take the text: ${isPlain ? problem : onlyAscii}`)
    }
    return done('Text typed')
  },
})

export const tapCoordinates = defineCommand({
  name: 'tap_coordinates',
  label: 'Tap',
  description: 'Taps a place of the screen, in pixels of the screenshot',
  offer: remote,
  params: { x: pixel('From the left'), y: pixel('From the top') },
  run: (device: AndroidDevice, { x, y }, signal) => tap(device, x, y, signal),
})

export async function tap(device: AndroidDevice, x: number, y: number, signal: AbortSignal) {
  const place = [Math.round(x), Math.round(y)] as const
  const { problem } = await runOrExplain(device, `input tap ${place.join(' ')}`, signal)
  return problem ? refused(`The device did not take the tap: ${problem}`) : done(`Tapped at ${place.join(', ')}`)
}

const duration = { type: 'number', required: false, default: 300, min: 10, max: 10_000, description: 'Milliseconds' } as const

async function swipeLine(device: AndroidDevice, from: [number, number], to: [number, number], ms: number, signal: AbortSignal) {
  const numbers = [...from, ...to, ms].map((value) => Math.round(value))
  const { problem } = await runOrExplain(device, `input swipe ${numbers.join(' ')}`, signal, { timeoutMs: ms + 15_000 })
  return problem
    ? refused(`The device did not take the swipe: ${problem}`)
    : done(`Swiped from ${from.join(', ')} to ${to.join(', ')}`)
}

const swipe = defineCommand({
  name: 'swipe',
  label: 'Swipe',
  description: 'Moves a finger over the screen, in pixels of the screenshot',
  offer: remote,
  params: {
    from_x: pixel('From the left, where it begins'),
    from_y: pixel('From the top, where it begins'),
    to_x: pixel('From the left, where it ends'),
    to_y: pixel('From the top, where it ends'),
    duration,
  },
  run: (device: AndroidDevice, values, signal) =>
    swipeLine(device, [values.from_x, values.from_y], [values.to_x, values.to_y], values.duration, signal),
})

/** Where the finger begins and ends, in parts of width and height. */
const ways = {
  up: { from: [0.5, 0.7], to: [0.5, 0.3] },
  down: { from: [0.5, 0.3], to: [0.5, 0.7] },
  left: { from: [0.8, 0.5], to: [0.2, 0.5] },
  right: { from: [0.2, 0.5], to: [0.8, 0.5] },
} as const

const swipes = (['up', 'down', 'left', 'right'] as const).map((way) =>
  defineCommand({
    name: `swipe_${way}`,
    label: `Swipe ${way}`,
    description: `Moves a finger ${way} over the middle of the screen`,
    offer: remote,
    params: { duration },
    run: async (device: AndroidDevice, values, signal) => {
      const { width, height } = await device.size(signal)
      const place = ([x, y]: readonly [number, number]): [number, number] => [Math.round(x * width), Math.round(y * height)]
      return swipeLine(device, place(ways[way].from), place(ways[way].to), values.duration, signal)
    },
  }),
)

export const swipeCommands: readonly CommandSpec<AndroidDevice>[] = [swipe, ...swipes]
