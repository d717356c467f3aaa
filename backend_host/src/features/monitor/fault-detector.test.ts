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

/** Looks of one picture each, from a second on; gives what was reported. */
function look(
  detector: ReturnType<typeof createFaultDetector>,
  from: number,
  pictures: Uint8Array[],
  sound: number | null = null,
) {
  return pictures.flatMap((picture, i) =>
    detector
      .see({ at: (from + i) * 1000, picture, sound, commandAt: 0 })
      .changes.map((one) => `${one.type} ${one.state} ${one.endReason}`),
  )
}

test('S: faults of an earlier life of the agent go on or end, and are not raised a second time', () => {
  for (const [type, lasting, ended] of [
    ['blackscreen', black, still],
    ['freeze', still, moving(1)],
  ] as const) {
    const detector = createFaultDetector()
    detector.adopt(type, 0, 30)
    assert.deepEqual(
      look(
        detector,
        100,
        Array.from({ length: 60 }, () => lasting),
      ),
      [],
      `${type} goes on`,
    )
    assert.deepEqual(look(detector, 160, [ended, moving(2)]), [`${type} resolved seen`])
    const other = createFaultDetector()
    other.adopt(type, 0, 30)
    assert.deepEqual(look(other, 100, [moving(3), moving(4)]), [`${type} resolved seen`], `${type} is over`)
  }
  const quiet = createFaultDetector()
  quiet.adopt('audio_loss', 0, 30)
  assert.deepEqual(look(quiet, 100, [moving(1), moving(2), moving(3)], 0), [])
  assert.deepEqual(look(quiet, 103, [moving(4)], 50), ['audio_loss resolved seen'])
})

test('S: what was raised ends with a reason when nobody looks any more, what had only begun is forgotten', () => {
  const detector = createFaultDetector()
  look(
    detector,
    0,
    Array.from({ length: 12 }, () => black),
  )
  const ended = detector.stop(12_000, 'stream_stopped')
  assert.deepEqual(
    ended.map(({ type, state, startedAt, endedAt, endReason }) => [type, state, startedAt, endedAt, endReason]),
    [['blackscreen', 'resolved', 0, 12_000, 'stream_stopped']],
  )
  assert.deepEqual(look(detector, 20, [black, black]), [], 'the ten seconds begin anew')
  assert.deepEqual(detector.stop(22_000, 'stream_lost'), [])
})
