import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import { createDriver, findChromium } from '../src/drivers/index.ts'
import { findFfmpeg } from '../src/features/live/index.ts'
import { type LabWithAgent, startLabWithAgent, until } from './start-agent.ts'

const withoutFfmpeg = (await findFfmpeg()) === null ? 'ffmpeg is not installed on this machine' : false
const startBox = (t: TestContext) => startLabWithAgent(t, {}, ({ driver }) => createDriver(driver, { seed: 3 }))
const listOf = (lab: LabWithAgent): string => `${lab.url}/host/stream/capture1/segments/output.m3u8`

async function call(lab: LabWithAgent, path: string): Promise<Record<string, unknown>> {
  const key = lab.server.registrations[0]?.call_key ?? ''
  return (await (await fetch(`${lab.url}${path}`, { headers: { 'x-api-key': key } })).json()) as Record<string, unknown>
}

/** Numbers of the pieces in the list, and those before which it says that something else begins. */
async function pieces(lab: LabWithAgent): Promise<{ numbers: number[]; breaks: number[] }> {
  const answer = await fetch(listOf(lab))
  const parts = answer.status === 200 ? (await answer.text()).split(/^segment_(\d+)\.ts$/m) : []
  const numbers = parts.filter((_part, i) => i % 2 === 1).map(Number)
  return { numbers, breaks: numbers.filter((_number, i) => parts[2 * i]?.includes('#EXT-X-DISCONTINUITY')) }
}

/** Processes of ffmpeg that write below the folder of this lab. */
function encoders(lab: LabWithAgent): number[] {
  const found = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n')
  return found.flatMap((line) => (/^\s*\d+ ffmpeg /.test(line) && line.includes(lab.dataDir) ? [Number.parseInt(line, 10)] : []))
}

test('S: the stream starts with the first request, heals when ffmpeg is killed, and ends after the last', {
  skip: withoutFfmpeg,
}, async (t) => {
  const lab = await startBox(t)
  const { stream_url } = await call(lab, '/host/av/getStreamUrl?device_id=device1')
  assert.equal(stream_url, '/host/stream/capture1/segments/output.m3u8')
  assert.deepEqual(encoders(lab), [], 'asking for the URL starts nothing')
  const list = await fetch(listOf(lab))
  assert.equal(list.status, 200)
  assert.equal(list.headers.get('content-type'), 'application/vnd.apple.mpegurl')
  const [name = ''] = /segment_\d{9}\.ts/.exec(await list.text()) ?? []
  const [pid] = encoders(lab)
  assert.ok(pid)
  const piece = await fetch(listOf(lab).replace('output.m3u8', name), { headers: { range: 'bytes=0-187' } })
  assert.equal(piece.status, 206)
  assert.equal(Buffer.from(await piece.arrayBuffer())[0], 0x47, 'a packet of MPEG TS')

  process.kill(pid, 'SIGKILL')
  const before = await pieces(lab)
  const last = before.numbers.at(-1) ?? 0
  await until('the list goes on after the kill', async () => {
    const { numbers } = await pieces(lab)
    return encoders(lab).some((one) => one !== pid) && (numbers.at(-1) ?? 0) > last + 1
  })
  const { numbers, breaks } = await pieces(lab)
  assert.equal(numbers[0], before.numbers[0])
  assert.equal(breaks.length, 1, 'players are told once')
  assert.ok((breaks[0] ?? 0) > last, 'at the gap: a break before what they have already is a broken list to them')
  await until('ffmpeg ends when nobody asks any more', () => encoders(lab).length === 0)
})

test('S: the stream has the sound of the device, as loud as the check of sound hears it', {
  skip: withoutFfmpeg,
}, async (t) => {
  const lab = await startBox(t)
  const remote = (key: string) =>
    lab.server.callAgent('/host/remote/executeCommand', { device_id: 'device1', command: 'press_key', params: { key } })
  const folder = path.join(lab.dataDir, 'media', 'capture1', 'segments')
  /** Loudest moment of the newest whole piece of the stream, in decibels of full scale. */
  const levelAfter = async (from: number): Promise<number> => {
    let level = Number.NaN
    await until('a piece is made', async () => {
      await fetch(listOf(lab))
      const pieces = (await readdir(folder)).filter((name) => name.endsWith('.ts')).sort()
      const done = pieces.at(-2)
      if (!done || Number(/\d+/.exec(done)?.[0]) <= from) return false
      const said = await promisify(execFile)('ffmpeg', [
        '-hide_banner',
        '-i',
        path.join(folder, done),
        '-af',
        'volumedetect',
        '-vn',
        '-f',
        'null',
        '-',
      ])
      level = Number(/max_volume: (-?[\d.]+) dB/.exec(said.stderr)?.[1])
      return true
    })
    return level
  }
  const newest = async (): Promise<number> =>
    Math.max(0, ...(await readdir(folder)).map((name) => Number(/^segment_(\d+)\.ts$/.exec(name)?.[1] ?? 0)))
  const heard = async () => {
    const verification = { command: 'WaitForAudioToAppear', params: { duration: 5 } }
    const { body } = await lab.server.callAgent('/host/verification/audio/execute', { device_id: 'device1', verification })
    return Number(body.level)
  }
  await fetch(listOf(lab))
  await remote('OK')
  // The tone of the box has 40 of 100, which is -8 dB; the first seconds are those of home and black.
  await until('the tone is in the stream', async () => Math.abs((await levelAfter(await newest())) + 8) < 1.5)
  assert.ok(Math.abs((await heard()) - 40) <= 2, 'the check hears the same')
  await remote('VOLUME_MUTE')
  await until('the stream is silent', async () => (await levelAfter(await newest())) < -60)
})

test('S: a stream can be kept running, changed in quality, and let go', { skip: withoutFfmpeg }, async (t) => {
  const lab = await startBox(t)
  const body = { device_id: 'device1' }
  assert.equal((await lab.server.callAgent('/host/av/startCapture', body)).body.success, true)
  await until('it runs without viewer', () => encoders(lab).length === 1)
  let before: number[] = []
  await until('it has pieces', async () => {
    before = (await pieces(lab)).numbers
    return before.length > 1
  })
  const low = await lab.server.callAgent('/host/system/restartHostStreamService', { ...body, quality: 'low' })
  assert.deepEqual([low.body.restarted, low.body.quality], [true, 'low'])
  await until('it runs in the new quality', () =>
    execFileSync('ps', ['-eo', 'args='], { encoding: 'utf8' })
      .split('\n')
      .some((line) => line.includes(lab.dataDir) && line.includes('scale=640')),
  )
  let after = await pieces(lab)
  await until('it goes on after what viewers have seen', async () => {
    after = await pieces(lab)
    return after.breaks.length > 0
  })
  assert.deepEqual(after.numbers.slice(0, before.length), before)
  assert.equal(after.breaks.length, 1)
  await lab.server.callAgent('/host/av/stopCapture', body)
  await until('it ends', () => encoders(lab).length === 0)
  const anew = await pieces(lab)
  assert.ok((anew.numbers[0] ?? 0) > (after.numbers.at(-1) ?? 0), 'a player that comes back takes nothing for what it has seen')
})

test('S: a stream that could not begin is refused at once, and begins with the next viewer', {
  skip: withoutFfmpeg,
}, async (t) => {
  const lab = await startBox(t)
  const capture = path.join(lab.dataDir, 'media', 'capture1')
  await mkdir(capture, { recursive: true })
  await writeFile(path.join(capture, 'segments'), 'in the way')
  assert.equal((await fetch(listOf(lab))).status, 404)
  await rm(path.join(capture, 'segments'))
  assert.equal((await fetch(listOf(lab))).status, 200)
})

test('S: a browser plays the stream with hls.js, also in another quality and over a killed ffmpeg', {
  skip: withoutFfmpeg,
}, async (t) => {
  const executablePath = findChromium()
  if (!executablePath) return t.skip('no Chromium is installed on this machine')
  const lab = await startBox(t)
  await lab.server.callAgent('/host/remote/executeCommand', { device_id: 'device1', command: 'press_key', params: { key: 'OK' } })
  const library = readFileSync(createRequire(import.meta.url).resolve('hls.js/dist/hls.light.min.js'))
  const page = `<video muted autoplay style="width:640px"></video><script src="/hls.js"></script><script>
    window.errors = []
    const hls = new Hls({ liveSyncDurationCount: 2, manifestLoadingTimeOut: 20000 })
    hls.on(Hls.Events.ERROR, (_event, data) => { errors.push(data.details); if (data.fatal) data.type === 'mediaError' ? hls.recoverMediaError() : hls.startLoad() })
    hls.loadSource('${listOf(lab)}')
    hls.attachMedia(document.querySelector('video'))
  </script>`
  const site = createServer((request, response) => {
    if (request.url === '/hls.js') return response.writeHead(200, { 'content-type': 'text/javascript' }).end(library)
    return response.writeHead(200, { 'content-type': 'text/html' }).end(page)
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  t.after(() => site.close())
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'] })
  t.after(() => browser.close())
  const view = await browser.newPage()
  await view.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`)
  const seen = () =>
    view.evaluate<{ time: number; width: number; errors: string[] }>(
      "(() => { const video = document.querySelector('video'); return { time: video.currentTime, width: video.videoWidth, errors: window.errors } })()",
    )
  await until('the video plays', async () => (await seen()).time > 2)
  assert.equal((await seen()).width, 1280)
  const { time: before } = await seen()
  await lab.server.callAgent('/host/system/restartHostStreamService', { device_id: 'device1', quality: 'low' })
  await until('it plays on in the other quality', async () => (await seen()).width === 640)
  assert.ok((await seen()).time >= before, 'and shows nothing again')
  const [pid] = encoders(lab)
  assert.ok(pid)
  process.kill(pid, 'SIGKILL')
  const { time } = await seen()
  await until('it plays on after the kill', async () => (await seen()).time > time + 6)
  assert.deepEqual(
    (await seen()).errors.filter((one) => one === 'levelParsingError'),
    [],
    'each list continues the one before',
  )
})
