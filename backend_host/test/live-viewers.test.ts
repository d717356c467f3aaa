import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Driver } from '../src/drivers/driver.ts'
import { createDriver } from '../src/drivers/index.ts'
import { createFakeDriver } from './fakes/fake-driver.ts'
import { readMjpeg } from './read-mjpeg.ts'
import { type LabWithAgent, startLabWithAgent, until } from './start-agent.ts'

/** Large enough that the buffers of a socket are soon full. */
const pictureBytes = 300_000

/** A device whose pictures carry their number, as fast as anybody could want, until it is told to stop moving. */
function createNumbered() {
  const device = { shown: 0, isMoving: true, isWatched: false }
  const driver: Driver = {
    ...createFakeDriver(),
    async watch({ onFrame }, signal) {
      device.isWatched = true
      while (!signal.aborted) {
        if (device.isMoving) {
          device.shown += 1
          const data = Buffer.alloc(pictureBytes)
          data.writeUInt32BE(device.shown)
          onFrame({ data, width: 1, height: 1, at: Date.now() })
        }
        await pause(10, undefined, { signal }).catch(() => undefined)
      }
      device.isWatched = false
    },
  }
  return { device, driver }
}

async function viewersOf(lab: LabWithAgent): Promise<unknown> {
  const headers = { 'x-api-key': lab.server.registrations[0]?.call_key ?? '' }
  const response = await fetch(`${lab.url}/host/av/status?device_id=device1`, { headers })
  return ((await response.json()) as { status: { viewers: number } }).status.viewers
}
const live = (lab: LabWithAgent): string => `${lab.url}/host/stream/capture1/live.mjpeg?fps=25`

test('S: a slow viewer gets fewer pictures, never older ones, and the last one', async (t) => {
  const { device, driver } = createNumbered()
  // On a busy machine a viewer that holds for the test holds for long.
  const lab = await startLabWithAgent(t, {}, () => driver, { viewerStuckMs: 300_000 })
  const [slow, quick] = [await readMjpeg(live(lab)), await readMjpeg(live(lab))]
  await until('both see it', () => slow.frames.length > 0 && quick.frames.length > 0)
  slow.hold()
  const before = device.shown
  await until('the device has shown much meanwhile', () => device.shown > before + 300)
  device.isMoving = false
  slow.go()
  const numbers = () => slow.frames.map(({ data }) => data.readUInt32BE())
  await until('the slow one has the last picture', () => numbers().at(-1) === device.shown)
  await until('so has the quick one', () => quick.frames.at(-1)?.data.readUInt32BE() === device.shown)
  const seen = numbers()
  assert.deepEqual(
    seen,
    [...new Set(seen)].sort((a, b) => a - b),
    'each at most once, in order',
  )
  assert.ok(seen.length < device.shown / 2, `${seen.length} of ${device.shown}`)
  slow.close()
  quick.close()
})

test('S: a viewer that went away without a word is let go, and nothing is made for it', async (t) => {
  const { device, driver } = createNumbered()
  const lab = await startLabWithAgent(t, {}, () => driver, { viewerStuckMs: 1000 })
  const gone = await readMjpeg(live(lab))
  gone.hold()
  await until('it is watched', async () => device.isWatched && (await viewersOf(lab)) === 1)
  await until('the viewer is let go', async () => (await viewersOf(lab)) === 0)
  await until('the device is not watched any more', () => !device.isWatched)
  gone.close()
})

test('S: sixteen viewers share one picture; the next one is told that there are too many', async (t) => {
  const { device, driver } = createNumbered()
  const lab = await startLabWithAgent(t, {}, () => driver)
  const viewers = await Promise.all(Array.from({ length: 16 }, () => readMjpeg(live(lab))))
  await until('all see it', () => viewers.every(({ frames }) => frames.length > 0))
  device.isMoving = false
  const refused = await fetch(live(lab))
  assert.equal(refused.status, 503)
  assert.equal(((await refused.json()) as { code: string }).code, 'too_many_viewers')
  viewers.pop()?.close()
  await until('one has left', async () => (await viewersOf(lab)) === 15)
  const next = await readMjpeg(live(lab))
  await until('the next one sees what was shown last', () => next.frames.length > 0)
  for (const viewer of [...viewers, next]) viewer.close()
})

test('S: the box shows a change when it happens, not with the next picture that is due', async () => {
  const driver = createDriver('sim', { seed: 3 })
  const ending = new AbortController()
  await driver.open(ending.signal)
  let pictures = 0
  // One picture in an hour.
  const watching = driver.watch?.({ fps: () => 1 / 3600, onFrame: () => (pictures += 1) }, ending.signal)
  await until('the first picture is there', () => pictures === 1)
  await driver.execute('sim_show', { fault: 'black' }, ending.signal)
  await until('the change is there', () => pictures === 2)
  ending.abort()
  await watching
  await driver.close()
})
