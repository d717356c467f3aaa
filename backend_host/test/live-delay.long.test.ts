import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import sharp from 'sharp'
import { createDriver, findChromium } from '../src/drivers/index.ts'
import { darkPercent, loadSmallGray } from '../src/vision/motion.ts'
import { readMjpeg } from './read-mjpeg.ts'
import { type LabWithAgent, startLabWithAgent, until } from './start-agent.ts'

/** Figures that need the machine for themselves: on one that has other work they would be those of that work. */
const load = loadavg()[0] ?? 0
const skip = load > availableParallelism() * 2 ? `the machine has other work (load ${load.toFixed(0)})` : false

const startBox = (t: TestContext, env: Record<string, string> = {}) =>
  startLabWithAgent(t, env, ({ driver }) => createDriver(driver, { seed: 3 }))
const command = (lab: LabWithAgent, name: string, params: Record<string, unknown> = {}) =>
  lab.server.callAgent('/host/remote/executeCommand', { device_id: 'device1', command: name, params })

test('Q: the box is seen within 300 ms of what it does', { skip, timeout: 90_000 }, async (t) => {
  const lab = await startBox(t)
  const viewer = await readMjpeg(`${lab.url}/host/stream/capture1/live.mjpeg?fps=20`)
  await command(lab, 'press_key', { key: 'OK' })
  await pause(2500)
  const delays: number[] = []
  for (let turn = 0; turn < 8; turn += 1) {
    const isBlack = turn % 2 === 0
    const after = viewer.frames.length
    const startedAt = Date.now()
    await command(lab, 'sim_show', { fault: isBlack ? 'black' : 'none' })
    let seenAt = 0
    await until(
      'the change is seen',
      async () => {
        for (const frame of viewer.frames.slice(after)) {
          const dark = darkPercent(await loadSmallGray(frame.data))
          if (dark > 98 === isBlack) seenAt ||= frame.receivedAt
        }
        return seenAt > 0
      },
      5000,
    )
    delays.push(seenAt - startedAt)
    await pause(300)
  }
  viewer.close()
  delays.sort((a, b) => a - b)
  t.diagnostic(`box, from the call to the picture at the viewer: ${delays.join(', ')} ms`)
  assert.ok((delays[delays.length >> 1] ?? Infinity) < 300, delays.join(', '))
})

test('Q: a page is seen within 300 ms of what it shows', { skip, timeout: 90_000 }, async (t) => {
  if (!findChromium()) return t.skip('no Chromium is installed on this machine')
  const lab = await startBox(t, { HOST_MODEL: 'web' })
  // Sixteen fields, black or white: the lowest bits of the clock in units of 10 ms.
  const page = `<body style="margin:0;background:#888">${'<i style="float:left;width:80px;height:80px"></i>'.repeat(16)}<script>
    const fields = [...document.querySelectorAll('i')]
    const draw = () => { const now = Math.floor(Date.now() / 10); fields.forEach((field, bit) => { field.style.background = (now >> bit) & 1 ? '#fff' : '#000' }); requestAnimationFrame(draw) }
    draw()</script>`
  const url = `data:text/html,${encodeURIComponent(page)}`
  assert.equal((await lab.server.callAgent('/host/web/navigateToUrl', { url })).body.success, true)
  const viewer = await readMjpeg(`${lab.url}/host/stream/capture0/live.mjpeg?fps=10`)
  await until('pictures come', () => viewer.frames.length > 20, 20_000)
  viewer.close()
  const delays = await Promise.all(
    viewer.frames.slice(5).map(async ({ data, receivedAt }) => {
      const { data: pixels, info } = await sharp(data).grayscale().raw().toBuffer({ resolveWithObject: true })
      let shown = 0
      for (let bit = 0; bit < 16; bit += 1) if ((pixels[40 * info.width + bit * 80 + 40] ?? 0) > 128) shown |= 1 << bit
      return (((Math.floor(receivedAt / 10) & 0xffff) - shown + 0x10000) & 0xffff) * 10
    }),
  )
  delays.sort((a, b) => a - b)
  const median = delays[delays.length >> 1] ?? Infinity
  // Other programs on the machine delay some pictures; the quarter that was not delayed shows what this program adds.
  const quarter = delays[delays.length >> 2] ?? Infinity
  t.diagnostic(
    `page, from its clock to the viewer: quarter ${quarter}, median ${median}, longest ${delays.at(-1)} ms, ${delays.length} pictures`,
  )
  assert.ok(quarter < 300, delays.join(', '))
})

/** Processor time of this process and its Chromium, in ms. */
function cpuMs(): number {
  const ticks = (pid: string): number => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(fields[11]) + Number(fields[12])
    } catch {
      return 0
    }
  }
  const isBrowser = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`vpt-chromium-${process.pid}-`)
    } catch {
      return false
    }
  }
  const browsers = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isBrowser(name))
  return [String(process.pid), ...browsers].reduce((sum, pid) => sum + ticks(pid), 0) * 10
}

async function cpuPercent(seconds: number): Promise<number> {
  const before = cpuMs()
  await pause(seconds * 1000)
  return Math.round(((cpuMs() - before) / seconds / 10) * 10) / 10
}

test('Q: an idle device costs next to nothing, a watched one less than a core', { skip, timeout: 120_000 }, async (t) => {
  const lab = await startBox(t, findChromium() ? { HOST_MODEL: 'web' } : {})
  await lab.server.callAgent('/host/takeControl', { device_id: 'device1' })
  if (findChromium()) await lab.server.callAgent('/host/web/navigateToUrl', { url: 'data:text/html,<h1>Still</h1>' })
  await pause(4000)
  const idle = await cpuPercent(8)
  const still = await readMjpeg(`${lab.url}/host/stream/capture1/live.mjpeg?fps=12`)
  await pause(1000)
  const watchedStill = await cpuPercent(5)
  await command(lab, 'press_key', { key: 'OK' })
  await pause(2000)
  const frames = still.frames.length
  const watchedLive = await cpuPercent(5)
  const fps = (still.frames.length - frames) / 5
  still.close()
  await pause(3000)
  const after = await cpuPercent(5)
  t.diagnostic(
    `percent of a core: idle ${idle}, watched and still ${watchedStill}, watched and moving ${watchedLive} (${fps} pictures a second), afterwards ${after}`,
  )
  assert.ok(idle < 5 && after < 5, `idle ${idle}, after ${after}`)
  assert.ok(watchedLive < 100)
})
