import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readMjpegParts } from '../mjpeg-parts.ts'
import { until } from '../until.ts'
import type { Person } from './person.ts'

export interface LiveViewer {
  frames: () => number
  last: () => Buffer | undefined
  close: () => void
}

/** The moving picture as an img element of a browser gets it: one JPEG after another in one answer. */
export async function watchLive(person: Person, path: string): Promise<LiveViewer> {
  const response = await person.open(path)
  assert.equal(response.status, 200, `${path}: ${response.status}`)
  assert.match(response.headers.get('content-type') ?? '', /^multipart\/x-mixed-replace; boundary=/)
  const reader = response.body?.getReader()
  let frames = 0
  let last: Buffer | undefined
  const read = async (): Promise<void> => {
    const take = readMjpegParts((jpeg) => {
      last = Buffer.from(jpeg)
      frames += 1
    })
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
      if (done) return
      take(value as Uint8Array)
    }
  }
  // The end of the picture is seen by nothing coming any more.
  read().catch(() => undefined)
  return { frames: () => frames, last: () => last, close: () => void reader?.cancel().catch(() => undefined) }
}

/** A first picture, then what the press changes in it. */
export async function assertPressIsSeen(viewer: LiveViewer, press: () => Promise<unknown>): Promise<void> {
  const before = await until('the first live picture', () => viewer.last())
  assert.deepEqual([...before.subarray(0, 2)], [0xff, 0xd8], 'a JPEG')
  await press()
  await until('the live picture changes with the key', () => viewer.last()?.equals(before) === false)
}

export const listOf = async (person: Person, list: string): Promise<number[]> => {
  const { status, text } = await person.get(list)
  return status === 200 ? [...text.matchAll(/^segment_0*(\d+)\.ts$/gm)].map(([, number]) => Number(number)) : []
}

/** The list and its newest piece, decoded as a player does. */
export async function assertPlayable(person: Person, list: string): Promise<void> {
  const newest = await until('the list names a piece', async () => (await listOf(person, list)).at(-1))
  const piece = `segment_${String(newest).padStart(9, '0')}.ts`
  const response = await person.open(list.replace('output.m3u8', piece))
  assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'video/mp2t'])
  const decoded = spawnSync(
    'ffprobe',
    ['-v', 'error', '-count_frames', '-show_entries', 'stream=codec_name,width,nb_read_frames', '-of', 'csv=p=0', '-'],
    { input: Buffer.from(await response.arrayBuffer()), encoding: 'utf8', timeout: 30_000 },
  )
  const [, frames] = /^h264,1280,(\d+)/m.exec(decoded.stdout) ?? []
  assert.ok(Number(frames) > 0, `${piece}: ${decoded.stdout} ${decoded.stderr}`)
}
