import type { CommandSpec } from '../../drivers/driver.ts'
import { defineCommand } from '../../drivers/driver.ts'
import { duration, type Eyes, percent, verdict, waitUntil } from './eyes.ts'

async function listen(eyes: Eyes, seconds: number, above: number, signal: AbortSignal) {
  const { sound } = eyes
  if (!sound) throw new Error('This device lets nothing be heard')
  const heard = await waitUntil(
    eyes.clock,
    seconds,
    signal,
    () => sound(signal),
    (level) => level > above,
  )
  return { isHeard: heard.isGood, level: heard.last }
}

export const audioChecks: readonly CommandSpec<Eyes>[] = [
  defineCommand({
    name: 'DetectSilence',
    label: 'Detect silence',
    description: 'Passes when no sound is heard for the whole time',
    offer: { verification: 'audio' },
    params: { threshold: percent(0, 'Loudest level that still counts as silence'), duration: duration(2) },
    run: async (eyes: Eyes, values, signal) => {
      const { isHeard, level } = await listen(eyes, values.duration, values.threshold, signal)
      return verdict(!isHeard, 'Silence', `There is sound of level ${level}`, { level })
    },
  }),
  defineCommand({
    name: 'WaitForAudioToAppear',
    label: 'Wait for sound',
    description: 'Passes when sound is heard',
    offer: { verification: 'audio' },
    params: { min_level: percent(10, 'Level that counts as sound'), duration: duration(2) },
    run: async (eyes: Eyes, values, signal) => {
      const { isHeard, level } = await listen(eyes, values.duration, values.min_level, signal)
      return verdict(isHeard, `There is sound of level ${level}`, `No sound (level ${level})`, { level })
    },
  }),
]
