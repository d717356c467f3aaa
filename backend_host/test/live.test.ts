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
  const second = await readMjpeg(`${lab.url}/host/stream/capture1/live.mjpeg?fps=0.2`)
  await until('both have a picture', () => first.frames.length > 0 && second.frames.length > 0)
  assert.equal((await sharp(first.frames[0]?.data).metadata()).format, 'jpeg')
  await pause(1500)
  assert.ok(first.frames.length <= 2, `home stands still, yet ${first.frames.length} pictures came`)
  await command(lab, 'press_key', { key: 'OK' })
  await until('who asks for fewer pictures gets fewer', () => first.frames.length > second.frames.length + 5)
  first.close()
  second.close()
  await until('nothing is made any more', async () => (await status(lab, 'device1')).is_capturing === false)
  const { frames } = await status(lab, 'device1')
  await pause(700)
  assert.equal((await status(lab, 'device1')).frames, frames)
  assert.equal((await fetch(`${lab.url}/host/stream/capture9/live.mjpeg`)).status, 404)
})

test('S: the last picture of a page that moved for a moment is always seen', async (t) => {
  if (!findChromium()) return t.skip('no Chromium is installed on this machine')
  const lab = await startBox(t, { HOST_MODEL: 'web' })
  const page = `<body style="background:#000"><script>
    const show = (level) => { document.body.style.background = 'rgb(' + level + ',' + level + ',' + level + ')' }
    const move = (count) => { show(count === 1 ? 255 : 20 + count); if (count > 1) requestAnimationFrame(() => move(count - 1)) }</script>`
  await lab.server.callAgent('/host/web/navigateToUrl', { url: `data:text/html,${encodeURIComponent(page)}` })
  const viewer = await readMjpeg(`${lab.url}/host/stream/capture0/live.mjpeg?fps=12`)
  const run = async (script: string): Promise<void> => {
    const { body } = await lab.server.callAgent('/host/web/executeCommand', {
      command: 'execute_javascript',
      params: { script },
    })
    assert.equal(body.success, true, JSON.stringify(body))
  }
  let looked = { frames: 0, level: -1 }
  const isShown = async (level: number): Promise<boolean> => {
    const last = viewer.frames.at(-1)
    if (last && looked.frames !== viewer.frames.length) {
      const frames = viewer.frames.length
      looked = { frames, level: (await sharp(last.data).resize(8, 8).stats()).channels[0]?.mean ?? -1 }
    }
    return Math.abs(looked.level - level) < 8
  }
  for (const pictures of [3, 5, 9, 11, 13]) {
    await run('show(0)')
    await until('the page is black', () => isShown(0))
    await run(`move(${pictures})`)
    await until(`the end of ${pictures} pictures is seen`, () => isShown(255))
  }
  viewer.close()
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
