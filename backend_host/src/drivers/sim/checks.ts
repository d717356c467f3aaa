import type { CommandResult, CommandSpec } from '../driver.ts'
import { defineCommand } from '../driver.ts'
import { type BoxDevice, grayHeight, grayWidth } from './box-device.ts'
import { audioLevel } from './box-power.ts'

const text = { type: 'string', required: true, default: '', description: 'Text to look for', placeholder: 'Settings' } as const
const timeout = { type: 'number', required: false, default: 0, min: 0, max: 600, description: 'Seconds to wait' } as const
const area = { type: 'area', required: false, default: null, description: 'Part of the screen' } as const
const duration = (seconds: number) =>
  ({ type: 'number', required: false, default: seconds, min: 0.1, max: 60, description: 'Seconds to watch' }) as const
const percent = (value: number, description: string) =>
  ({ type: 'number', required: false, default: value, min: 0, max: 100, description }) as const

const stepMs = 200

/** Asks every 200 ms until the answer is yes or the time is over; asks at least once. */
async function waitUntil(
  device: BoxDevice,
  seconds: number,
  signal: AbortSignal,
  ask: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const end = device.clock.now() + seconds * 1000
  for (;;) {
    if (await ask()) return true
    const left = end - device.clock.now()
    if (left <= 0) return false
    await device.clock.sleep(Math.min(stepMs, left), signal)
  }
}

function verdict(success: boolean, yes: string, no: string, more: Record<string, unknown> = {}): CommandResult {
  return { success, message: success ? yes : no, ...more }
}

/** The share of the picture, in percent, that changed at any time while it was watched. */
async function watchMotion(device: BoxDevice, seconds: number, signal: AbortSignal): Promise<number> {
  const lowest = Buffer.alloc(grayWidth * grayHeight, 255)
  const highest = Buffer.alloc(grayWidth * grayHeight, 0)
  const end = device.clock.now() + seconds * 1000
  for (;;) {
    const picture = await device.grayPicture()
    for (const [i, level] of picture.entries()) {
      if (level < (lowest[i] ?? 255)) lowest[i] = level
      if (level > (highest[i] ?? 0)) highest[i] = level
    }
    const left = end - device.clock.now()
    if (left <= 0) break
    await device.clock.sleep(Math.min(stepMs, left), signal)
  }
  // Twelve of 256 levels: more than the noise of picture compression, less than what a person sees as movement.
  const moved = highest.filter((level, i) => level - (lowest[i] ?? 0) > 12).length
  return Math.round((moved / highest.length) * 1000) / 10
}

async function listenForSound(device: BoxDevice, seconds: number, threshold: number, signal: AbortSignal): Promise<boolean> {
  return waitUntil(device, seconds, signal, () => audioLevel(device.state(), device.clock.now()) > threshold)
}

function textCheck(name: string, label: string, wanted: boolean): CommandSpec<BoxDevice> {
  return defineCommand({
    name,
    label,
    description: `Passes when a text of the screen that contains the given one ${wanted ? 'is there' : 'is not there'}`,
    offer: { verification: 'text' },
    params: { text, timeout, area },
    run: async (device: BoxDevice, values, signal) => {
      const looked = values.text.toLowerCase()
      const isThere = () => device.screen(values.area).texts.some((one) => one.toLowerCase().includes(looked))
      const success = await waitUntil(device, values.timeout, signal, () => isThere() === wanted)
      const is = `"${values.text}" is on the screen`
      const isNot = `"${values.text}" is not on the screen`
      const extractedText = device.screen(values.area).texts.join('\n')
      return verdict(success, wanted ? is : isNot, wanted ? isNot : is, { searchedText: values.text, extractedText })
    },
  })
}

function videoCheck(name: string, label: string, wanted: boolean): CommandSpec<BoxDevice> {
  return defineCommand({
    name,
    label,
    description: `Passes when the picture ${wanted ? 'moves' : 'stands still'}`,
    offer: { verification: 'video' },
    params: {
      motion_threshold: percent(5, 'Percent of the picture that must move'),
      duration: duration(3),
      timeout: { ...timeout, default: 10 },
    },
    run: async (device: BoxDevice, values, signal) => {
      let motion = 0
      const success = await waitUntil(device, values.timeout, signal, async () => {
        motion = await watchMotion(device, values.duration, signal)
        return motion >= values.motion_threshold === wanted
      })
      const message = `${motion} % of the picture moved`
      return verdict(success, message, message, { motion_percent: motion })
    },
  })
}

export const boxChecks: readonly CommandSpec<BoxDevice>[] = [
  textCheck('waitForTextToAppear', 'Wait for text', true),
  textCheck('waitForTextToDisappear', 'Wait until text is gone', false),
  defineCommand({
    name: 'getMenuInfo',
    label: 'Read screen',
    description: 'All texts of the screen',
    offer: { verification: 'text' },
    params: { area },
    outputs: [
      { name: 'parsed_data', type: 'object' },
      { name: 'ocr_text', type: 'string' },
      { name: 'element_count', type: 'number' },
    ],
    run: async (device: BoxDevice, values) => {
      const { texts, elements } = device.screen(values.area)
      const focused = elements.find((element) => element.focused)?.text ?? null
      const output_data = { parsed_data: { texts, focused }, ocr_text: texts.join('\n'), element_count: elements.length }
      return { success: true, message: `${elements.length} elements`, output_data }
    },
  }),
  videoCheck('WaitForVideoToAppear', 'Wait for motion', true),
  videoCheck('WaitForVideoToDisappear', 'Wait for standstill', false),
  defineCommand({
    name: 'DetectMotion',
    label: 'Detect motion',
    description: 'Passes when the picture moves',
    offer: { verification: 'video' },
    params: { duration: duration(3), threshold: percent(5, 'Percent of the picture that must move') },
    run: async (device: BoxDevice, values, signal) => {
      const motion = await watchMotion(device, values.duration, signal)
      return verdict(motion >= values.threshold, `${motion} % moved`, `Only ${motion} % moved`, { motion_percent: motion })
    },
  }),
  defineCommand({
    name: 'DetectFreeze',
    label: 'Detect freeze',
    description: 'Passes when the picture stands still for two seconds',
    offer: { verification: 'video' },
    params: { freeze_threshold: percent(1, 'Percent of the picture that may move') },
    run: async (device: BoxDevice, values, signal) => {
      const motion = await watchMotion(device, 2, signal)
      const message = `${motion} % of the picture moved`
      return verdict(motion <= values.freeze_threshold, `Frozen: ${message}`, message, { motion_percent: motion })
    },
  }),
  defineCommand({
    name: 'DetectSilence',
    label: 'Detect silence',
    description: 'Passes when no sound is heard',
    offer: { verification: 'audio' },
    params: { threshold: percent(0, 'Loudest level that still counts as silence'), duration: duration(2) },
    run: async (device: BoxDevice, values, signal) => {
      const heard = await listenForSound(device, values.duration, values.threshold, signal)
      return verdict(!heard, 'Silence', 'There is sound')
    },
  }),
  defineCommand({
    name: 'WaitForAudioToAppear',
    label: 'Wait for sound',
    description: 'Passes when sound is heard',
    offer: { verification: 'audio' },
    params: { min_level: percent(10, 'Level that counts as sound'), duration: duration(2) },
    run: async (device: BoxDevice, values, signal) => {
      const heard = await listenForSound(device, values.duration, values.min_level, signal)
      return verdict(heard, 'There is sound', 'No sound')
    },
  }),
]
