import type { CommandResult, CommandSpec } from '../../drivers/driver.ts'
import { defineCommand } from '../../drivers/driver.ts'
import { blackPercent, createMotionWatch, darkPercent, loadSmallGray } from '../../vision/motion.ts'
import { duration, type Eyes, percent, timeout, verdict, waitUntil } from './eyes.ts'

const lookMs = 200
const freezeSeconds = 2

type Watched = { motion: number; source: Buffer }

async function watch(eyes: Eyes, seconds: number, signal: AbortSignal): Promise<Watched> {
  const motion = createMotionWatch()
  const end = eyes.clock.now() + seconds * 1000
  for (;;) {
    const source = (await eyes.picture(signal)).data
    motion.add(await loadSmallGray(source))
    const left = end - eyes.clock.now()
    if (left <= 0) return { motion: motion.percent(), source }
    await eyes.clock.sleep(Math.min(lookMs, left), signal)
  }
}

async function answer(eyes: Eyes, success: boolean, { motion, source }: Watched, threshold: number): Promise<CommandResult> {
  const message = `${motion} % of the picture moved`
  const urls = await eyes.keep({ source })
  return verdict(success, message, message, {
    motion_percent: motion,
    matchingResult: motion / 100,
    userThreshold: threshold,
    ...urls,
  })
}

function videoCheck(name: string, label: string, wanted: boolean): CommandSpec<Eyes> {
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
    run: async (eyes: Eyes, values, signal) => {
      const { isGood, last } = await waitUntil(
        eyes.clock,
        values.timeout,
        signal,
        () => watch(eyes, values.duration, signal),
        ({ motion }) => motion >= values.motion_threshold === wanted,
      )
      return answer(eyes, isGood, last, values.motion_threshold)
    },
  })
}

export const videoChecks: readonly CommandSpec<Eyes>[] = [
  videoCheck('WaitForVideoToAppear', 'Wait for motion', true),
  videoCheck('WaitForVideoToDisappear', 'Wait for standstill', false),
  defineCommand({
    name: 'DetectMotion',
    label: 'Detect motion',
    description: 'Passes when the picture moves',
    offer: { verification: 'video' },
    params: { duration: duration(3), threshold: percent(5, 'Percent of the picture that must move') },
    run: async (eyes: Eyes, values, signal) => {
      const seen = await watch(eyes, values.duration, signal)
      return answer(eyes, seen.motion >= values.threshold, seen, values.threshold)
    },
  }),
  defineCommand({
    name: 'DetectFreeze',
    label: 'Detect freeze',
    description: 'Passes when the picture stands still for two seconds',
    offer: { verification: 'video' },
    params: { freeze_threshold: percent(1, 'Percent of the picture that may move') },
    run: async (eyes: Eyes, values, signal) => {
      const seen = await watch(eyes, freezeSeconds, signal)
      return answer(eyes, seen.motion <= values.freeze_threshold, seen, values.freeze_threshold)
    },
  }),
  defineCommand({
    name: 'DetectBlackscreen',
    label: 'Detect black screen',
    description: 'Passes when the picture is black for the whole time',
    offer: { verification: 'video' },
    params: { threshold: percent(blackPercent, 'Percent of the picture that must be black'), duration: duration(1) },
    run: async (eyes: Eyes, values, signal) => {
      const { isGood, last } = await waitUntil(
        eyes.clock,
        values.duration,
        signal,
        async () => {
          const source = (await eyes.picture(signal)).data
          return { source, dark: darkPercent(await loadSmallGray(source)) }
        },
        ({ dark }) => dark < values.threshold,
      )
      const message = `${last.dark} % of the picture is black`
      const urls = await eyes.keep({ source: last.source })
      return verdict(!isGood, message, message, {
        blackscreen_percentage: last.dark,
        matchingResult: last.dark / 100,
        userThreshold: values.threshold,
        ...urls,
      })
    },
  }),
]
