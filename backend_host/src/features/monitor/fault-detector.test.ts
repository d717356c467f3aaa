import assert from 'node:assert/strict'
import { test } from 'node:test'
import { smallHeight, smallWidth } from '../../vision/motion.ts'
import { createFaultDetector, type FaultChange } from './fault-detector.ts'

const size = smallWidth * smallHeight
const black = new Uint8Array(size)
/** A still picture, and one in which a tenth of the places change each second. */
const still = new Uint8Array(size).fill(120)
const moving = (second: number) => still.map((level, i) => (i % 10 === second % 10 ? 220 : level))

/** One look a second through the given scenes; gives what was reported, with the seconds. */
function watch(
  scenes: { seconds: number; picture: 'black' | 'still' | 'moving'; sound?: number | null; command?: true }[],
): string[] {
  const detector = createFaultDetector()
  const told: string[] = []
  let second = 0
  let commandAt = -100_000
  for (const { seconds, picture, sound = null, command } of scenes) {
    if (command) commandAt = second * 1000
    for (let i = 0; i < seconds; i += 1, second += 1) {
      const shown = picture === 'black' ? black : picture === 'still' ? still : moving(second)
      const { changes } = detector.see({ at: second * 1000, picture: shown, sound, commandAt })
      told.push(
        ...changes.map((change: FaultChange) => `${second} ${change.type} ${change.state} from ${change.startedAt / 1000}`),
      )
    }
  }
  return told
}

test('S: black is reported after ten seconds, with its start, and ends with the first picture', () => {
  assert.deepEqual(
    watch([
      { seconds: 20, picture: 'moving' },
      { seconds: 15, picture: 'black' },
      { seconds: 5, picture: 'moving' },
    ]),
    ['30 blackscreen raised from 20', '35 blackscreen resolved from 20'],
  )
  assert.deepEqual(
    watch([
      { seconds: 20, picture: 'moving' },
      { seconds: 9, picture: 'black' },
      { seconds: 5, picture: 'moving' },
    ]),
    [],
  )
})

test('S: a freeze is a standstill of what was playing, not a menu and not a pause that somebody pressed', () => {
  const playing = { seconds: 20, picture: 'moving' } as const
  assert.deepEqual(watch([playing, { seconds: 45, picture: 'still' }, { seconds: 3, picture: 'moving' }]), [
    '51 freeze raised from 21',
    '65 freeze resolved from 21',
  ])
  assert.deepEqual(watch([{ seconds: 300, picture: 'still' }]), [], 'a menu')
  assert.deepEqual(watch([playing, { seconds: 60, picture: 'still', command: true }]), [], 'pause was pressed')
  const after = watch([playing, { seconds: 40, picture: 'still' }, { seconds: 10, picture: 'still', command: true }])
  assert.deepEqual(after, ['51 freeze raised from 21', '60 freeze resolved from 21'], 'somebody took over')
})

test('S: silence is a loss only after sound and while the picture moves', () => {
  const playing = { seconds: 10, picture: 'moving', sound: 40 } as const
  assert.deepEqual(watch([playing, { seconds: 25, picture: 'moving', sound: 0 }, playing]), [
    '30 audio_loss raised from 10',
    '35 audio_loss resolved from 10',
  ])
  assert.deepEqual(watch([{ seconds: 60, picture: 'moving', sound: 0 }]), [], 'never heard')
  assert.deepEqual(watch([playing, { seconds: 60, picture: 'still', sound: 0, command: true }]), [], 'a silent menu')
  assert.deepEqual(watch([{ seconds: 60, picture: 'moving', sound: null }]), [], 'nothing can be heard')
})
