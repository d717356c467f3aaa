import type { CommandSpec } from '../../drivers/driver.ts'
import { defineCommand } from '../../drivers/driver.ts'
import { type Eyes, verdict } from './eyes.ts'

const params = (isStrict: boolean) =>
  ({
    json_count: {
      type: 'number',
      required: false,
      default: 5,
      min: 1,
      max: 60,
      description: 'How many of the last looks count',
    },
    strict_mode: {
      type: 'boolean',
      required: false,
      default: isStrict,
      description: 'All of them must show it; otherwise more than half',
    },
  }) as const

interface Recorded {
  name: string
  label: string
  description: string
  kind: 'video' | 'audio'
  isStrict: boolean
  isGood: (analysis: Record<string, unknown>) => boolean
}

/** Checks of what the monitor of this host has seen, one look a second: they need no time where a device is watched. */
function recordedCheck({ name, label, description, kind, isStrict, isGood }: Recorded): CommandSpec<Eyes> {
  return defineCommand({
    name,
    label,
    description,
    offer: { verification: kind },
    params: params(isStrict),
    outputs: [
      { name: 'good_count', type: 'number' },
      { name: 'total_count', type: 'number' },
    ],
    run: async (eyes: Eyes, values, signal) => {
      if (!eyes.lastLooks) throw new Error('This host keeps no record of its looks')
      const wanted = Math.round(values.json_count)
      const seen = await eyes.lastLooks(wanted, signal)
      if (seen.length === 0) return { success: false, message: 'Nothing of this device was seen' }
      const good = seen.filter(isGood).length
      const success = values.strict_mode ? good === seen.length : good * 2 > seen.length
      const message = `${good} of ${seen.length} looks show it`
      const files = seen.map(({ filename }) => filename)
      return verdict(success, message, message, { output_data: { good_count: good, total_count: seen.length }, files })
    },
  })
}

export const recordedVideoChecks = [
  recordedCheck({
    name: 'DetectMotionFromJson',
    label: 'Motion in the last seconds',
    description: 'Passes when the last looks of the monitor show a picture that is neither black nor still',
    kind: 'video',
    isStrict: false,
    isGood: ({ blackscreen, motion_percent }) =>
      blackscreen === false && typeof motion_percent === 'number' && motion_percent >= 0.3,
  }),
]
export const recordedAudioChecks = [
  recordedCheck({
    name: 'DetectAudioFromJson',
    label: 'Sound in the last seconds',
    description: 'Passes when the last looks of the monitor heard something',
    kind: 'audio',
    isStrict: true,
    isGood: ({ audio }) => audio === true,
  }),
]
