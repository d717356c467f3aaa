import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import sharp from 'sharp'
import { createDriver, findChromium } from '../src/drivers/index.ts'
import { readMjpeg } from './read-mjpeg.ts'
import { type LabWithAgent, startLabWithAgent, until } from './start-agent.ts'

const startBox = (t: TestContext, env: Record<string, string> = {}) =>
  startLabWithAgent(t, env, ({ driver }) => createDriver(driver, { seed: 3 }))

async function status(lab: LabWithAgent, deviceId: string): Promise<Record<string, unknown>> {
  const key = lab.server.registrations[0]?.call_key ?? ''
  const response = await fetch(`${lab.url}/host/av/status?device_id=${deviceId}`, { headers: { 'x-api-key': key } })
  return ((await response.json()) as { status: Record<string, unknown> }).status
}
const command = (lab: LabWithAgent, name: string, params: Record<string, unknown> = {}) =>
  lab.server.callAgent('/host/remote/executeCommand', { device_id: 'device1', command: name, params })

test('S: pictures are made from the first viewer to the last, and a still screen is sent once', async (t) => {
  const lab = await startBox(t)
  assert.deepEqual([(await status(lab, 'device1')).is_capturing, (await status(lab, 'device1')).frames], [false, 0])
  const first = await readMjpeg(`${lab.url}/host/stream/capture1/live.mjpeg?fps=10`)
  const second = await readMjpeg(`${lab.url}/host/stream/capture1/live.mjpeg?fps=1`)
  await until('both have a picture', () => first.frames.length > 0 && second.frames.length > 0)
  assert.equal((await sharp(first.frames[0]?.data).metadata()).format, 'jpeg')
  await pause(1500)
  assert.ok(first.frames.length <= 2, `home stands still, yet ${first.frames.length} pictures came`)
  await command(lab, 'press_key', { key: 'OK' })
  await until('the live picture moves', () => first.frames.length > 15)
  assert.ok(second.frames.length < first.frames.length, 'who asks for fewer pictures gets fewer')
  first.close()
  second.close()
  await until('nothing is made any more', async () => (await status(lab, 'device1')).is_capturing === false)
  const { frames } = await status(lab, 'device1')
  await pause(700)
  assert.equal((await status(lab, 'device1')).frames, frames)
  assert.equal((await fetch(`${lab.url}/host/stream/capture9/live.mjpeg`)).status, 404)
})

test('S: a viewer who does not read gets the newest picture, not a backlog', async (t) => {
  const lab = await startBox(t)
  await command(lab, 'press_key', { key: 'OK' })
  const slow = await readMjpeg(`${lab.url}/host/stream/capture1/live.mjpeg?fps=20`)
  await until('a picture came', () => slow.frames.length > 0)
  slow.hold()
  await pause(4000)
  slow.go()
  const heldFor = slow.frames.length
  await until('pictures come again', () => slow.frames.length > heldFor + 10)
  // What the sockets of the system held comes first; after it, pictures are of now.
  const last = slow.frames.at(-1)
  assert.ok(last && last.receivedAt - last.at < 2000, `${last && last.receivedAt - last.at} ms old`)
  slow.close()
})

test('S: the view follows a browser that was killed', async (t) => {
  if (!findChromium()) return t.skip('no Chromium is installed on this machine')
  const lab = await startBox(t, { HOST_MODEL: 'web' })
  const red = `data:text/html,${encodeURIComponent('<body style="background:#f00">')}`
  await lab.server.callAgent('/host/web/navigateToUrl', { url: red })
  const viewer = await readMjpeg(`${lab.url}/host/stream/capture0/live.mjpeg?fps=10`)
  await until('a picture came', () => viewer.frames.length > 0)
  const { readdirSync, readFileSync } = await import('node:fs')
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`vpt-chromium-${process.pid}-`))
        process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It went away by itself.
    }
  }
  const before = viewer.frames.length
  const blue = `data:text/html,${encodeURIComponent('<body style="background:#00f">')}`
  await until(
    'the browser works again',
    async () => (await lab.server.callAgent('/host/web/navigateToUrl', { url: blue })).body.success === true,
  )
  await until('the new browser is seen', async () => {
    const last = viewer.frames.slice(before).at(-1)
    if (!last) return false
    const { channels } = await sharp(last.data).stats()
    return (channels[2]?.mean ?? 0) > 200 && (channels[0]?.mean ?? 255) < 60
  })
  viewer.close()
})
