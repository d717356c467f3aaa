import type { CommandResult, CommandSpec } from '../../drivers/driver.ts'
import { defineCommand } from '../../drivers/driver.ts'
import { findPicture, type ImageMatch } from '../../vision/find-image.ts'
import { type Area, drawFrame, type ImageFilter, loadPicture } from '../../vision/picture.ts'
import { area, type Eyes, imageFilter, timeout, verdict, waitUntil } from './eyes.ts'

const params = {
  image_path: {
    type: 'string',
    required: true,
    default: '',
    description: 'Name of the reference',
    placeholder: 'home_logo',
  },
  timeout,
  threshold: { type: 'number', required: false, default: 0.8, min: 0, max: 1, description: 'Least likeness, 0 to 1' },
  area,
  image_filter: imageFilter,
} as const

type Look = { source: Buffer; match: ImageMatch | null }
type Search = { area: Area | null; filter: ImageFilter; threshold: number }

const likeness = (match: ImageMatch | null): number => Math.round((match?.confidence ?? 0) * 1000) / 1000
const filterOf = (text: string): ImageFilter => (text === 'greyscale' || text === 'binary' ? text : 'none')

/** The device is asked again and again, the reference is read once. */
async function openSearch(eyes: Eyes, name: string, values: { area: Area | null; image_filter: string; threshold: number }) {
  const reference = await eyes.reference(name)
  const search: Search = {
    area: values.area ?? reference.area,
    filter: filterOf(values.image_filter),
    threshold: values.threshold,
  }
  const look = async (signal: AbortSignal): Promise<Look> => {
    const source = (await eyes.picture(signal)).data
    return { source, match: findPicture(await loadPicture(source), reference.picture, search) }
  }
  return { reference, search, look }
}

async function answer(
  eyes: Eyes,
  reference: Buffer,
  search: Search,
  last: Look,
  outcome: { success: boolean; what: string; waitedMs: number },
): Promise<CommandResult> {
  const { match, source } = last
  const isThere = match !== null && match.confidence >= search.threshold
  const overlay = match ? await drawFrame(source, match, isThere ? '#2ecc71' : '#ff5d6c') : undefined
  const urls = await eyes.keep({ source, reference, overlay })
  const place = match ? { x: match.x, y: match.y, width: match.width, height: match.height } : null
  const figures = `likeness ${likeness(match)}, needed ${search.threshold}`
  return verdict(outcome.success, `${outcome.what} (${figures})`, `${outcome.what} (${figures})`, {
    matchingResult: likeness(match),
    userThreshold: search.threshold,
    imageFilter: search.filter,
    match: place,
    wait_time: outcome.waitedMs / 1000,
    ...urls,
  })
}

function imageCheck(name: string, label: string, wanted: boolean): CommandSpec<Eyes> {
  return defineCommand({
    name,
    label,
    description: `Passes when the reference ${wanted ? 'is' : 'is not'} on the screen`,
    offer: { verification: 'image' },
    params,
    run: async (eyes: Eyes, values, signal) => {
      const { reference, search, look } = await openSearch(eyes, values.image_path, values)
      const isThere = ({ match }: Look): boolean => match !== null && match.confidence >= search.threshold
      const { isGood, last, waitedMs } = await waitUntil(
        eyes.clock,
        values.timeout,
        signal,
        () => look(signal),
        (seen) => isThere(seen) === wanted,
      )
      const what = `${values.image_path.slice(0, 80)} is ${isThere(last) ? '' : 'not '}on the screen`
      return answer(eyes, reference.data, search, last, { success: isGood, what, waitedMs })
    },
  })
}

export const imageChecks: readonly CommandSpec<Eyes>[] = [
  imageCheck('waitForImageToAppear', 'Wait for image', true),
  imageCheck('waitForImageToDisappear', 'Wait until image is gone', false),
  defineCommand({
    name: 'waitForImageToAppearThenDisappear',
    label: 'Wait for image to come and go',
    description: 'Passes when the reference comes and goes within the time',
    offer: { verification: 'image' },
    params: { ...params, timeout: { ...timeout, default: 10 } },
    run: async (eyes: Eyes, values, signal) => {
      const { reference, search, look } = await openSearch(eyes, values.image_path, values)
      const isThere = ({ match }: Look): boolean => match !== null && match.confidence >= search.threshold
      const wait = (seconds: number, isGood: (seen: Look) => boolean) =>
        waitUntil(eyes.clock, seconds, signal, () => look(signal), isGood)
      const name = values.image_path.slice(0, 80)
      const came = await wait(values.timeout, isThere)
      if (!came.isGood) {
        const what = `${name} did not come`
        return answer(eyes, reference.data, search, came.last, { success: false, what, waitedMs: came.waitedMs })
      }
      const went = await wait(Math.max(0, values.timeout - came.waitedMs / 1000), (seen) => !isThere(seen))
      const what = went.isGood ? `${name} came and went` : `${name} came and stayed`
      // The picture with the reference in it is the proof, also when it is gone again.
      const proof = went.isGood ? came.last : went.last
      return answer(eyes, reference.data, search, proof, { success: went.isGood, what, waitedMs: came.waitedMs + went.waitedMs })
    },
  }),
]
