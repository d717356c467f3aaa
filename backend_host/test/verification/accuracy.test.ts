import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import sharp from 'sharp'
import { createDriver, type Driver, findChromium, systemClock } from '../../src/drivers/index.ts'
import { createFakeClock } from '../drivers/fake-clock.ts'
import { imageCases, type Screen, screenCases, textCases } from './cases.ts'
import { openEyes } from './open-eyes.ts'

/** The cases of cases.ts, judged by the checks themselves; what is marked as a known miss must still be one. */
const { signal } = new AbortController()
/** A moment at which the programs of all channels are known. */
const noon = Date.UTC(2026, 0, 5, 12, 0, 0)

async function openBox(t: TestContext): Promise<Record<Screen, Buffer>> {
  const clock = createFakeClock(noon)
  const driver = createDriver('sim', { clock, seed: 3 })
  t.after(() => driver.close())
  await driver.open(signal)
  const press = async (...keys: string[]) => {
    for (const key of keys) assert.ok((await driver.execute('press_key', { key }, signal)).success)
  }
  const shot = async () => (await driver.screenshot(signal)).data
  const home = await shot()
  await press('OK')
  clock.pass(1000)
  const tv = await shot()
  await press('MENU')
  const menu = await shot()
  await press('DOWN', 'DOWN', 'DOWN', 'DOWN', 'DOWN', 'OK')
  const settings = await shot()
  await driver.execute('launch_app', { package: 'tunewave' }, signal)
  clock.pass(2000)
  return { home, tv, menu, settings, app: await shot() }
}

/** A device at the edge that shows one given picture. */
function showing(picture: Buffer): Driver {
  const driver = createDriver('sim', { seed: 1 })
  return { ...driver, screenshot: async () => ({ data: picture, contentType: 'image/png', width: 1280, height: 720 }) }
}

test('S: texts on screens of the box are read as a person reads them', async (t) => {
  const screens = await openBox(t)
  const eyes = Object.fromEntries(
    await Promise.all(
      Object.entries(screens).map(async ([name, data]) => [name, await openEyes(t, showing(data), systemClock)] as const),
    ),
  )
  if (!eyes.home?.ocr) return t.skip('Tesseract is not installed on this machine')
  const times: number[] = []
  const wrong: string[] = []
  for (const { screen, text, isThere, area, isKnownMiss } of textCases) {
    const started = performance.now()
    const result = await eyes[screen]?.check('waitForTextToAppear', { text, ...(area && { area }) })
    times.push(performance.now() - started)
    const isRight = result?.success === isThere
    if (isRight !== !isKnownMiss) wrong.push(`${screen}: "${text}" ${isThere ? 'is' : 'is not'} there, but ${result?.message}`)
    assert.ok(String(result?.sourceUrl).startsWith('/host/stream/capture1/captures/verification_results/'))
  }
  times.sort((a, b) => a - b)
  t.diagnostic(
    `text: ${times.length} cases, median ${Math.round(times[times.length >> 1] ?? 0)} ms, longest ${Math.round(times.at(-1) ?? 0)} ms`,
  )
  assert.deepEqual(wrong, [])
})

test('S: pictures are found where they are, and only there', async (t) => {
  const screens = await openBox(t)
  const wrong: string[] = []
  const times: number[] = []
  for (const { name, from, crop, change, on, isThere, area, isKnownMiss } of imageCases) {
    const eyes = await openEyes(t, showing(screens[on]), systemClock)
    const cut = await sharp(screens[from]).extract(crop).png().toBuffer()
    const reference = await (change ? change(sharp(cut)) : sharp(cut)).toBuffer()
    const references = { it: { data: reference.toString('base64') } }
    const started = performance.now()
    const result = await eyes.check('waitForImageToAppear', { image_path: 'it', ...(area && { area }) }, { references })
    times.push(performance.now() - started)
    if ((result.success === isThere) !== !isKnownMiss) wrong.push(`${name}: ${result.message}`)
    if (isThere && !isKnownMiss && from === on && !change) {
      assert.deepEqual(result.match, { x: crop.left, y: crop.top, width: crop.width, height: crop.height }, name)
    }
    const gone = await eyes.check('waitForImageToDisappear', { image_path: 'it', ...(area && { area }) }, { references })
    assert.equal(gone.success, !result.success, name)
  }
  times.sort((a, b) => a - b)
  t.diagnostic(
    `image: ${times.length} cases, median ${Math.round(times[times.length >> 1] ?? 0)} ms, longest ${Math.round(times.at(-1) ?? 0)} ms`,
  )
  assert.deepEqual(wrong, [])
})

test('S: black, standstill, motion and silence of the box are told apart', async (t) => {
  const clock = createFakeClock(noon)
  const driver = createDriver('sim', { clock, seed: 3 })
  t.after(() => driver.close())
  await driver.open(signal)
  const eyes = await openEyes(t, driver, clock)
  const press = async (...keys: string[]) => {
    for (const key of keys) assert.ok((await driver.execute('press_key', { key }, signal)).success)
  }
  const fault = (kind: string) => driver.execute('sim_show', { fault: kind }, signal)
  const moves: Record<string, () => Promise<unknown>> = {
    home: async () => undefined,
    'live picture': () => press('HOME', 'OK', '9', 'OK'),
    freeze: () => fault('freeze'),
    black: () => fault('black'),
    'no sound': () => fault('silence'),
    'no fault': () => fault('none'),
    paused: () => press('MEDIA_PLAY_PAUSE'),
    standby: () => press('MEDIA_PLAY_PAUSE', 'POWER'),
    off: () => driver.execute('power_off', {}, signal),
  }
  for (const [name, verdicts] of Object.entries(screenCases)) {
    await moves[name]?.()
    clock.pass(12_000)
    for (const [command, expected] of Object.entries(verdicts)) {
      const result = await eyes.check(command)
      assert.equal(result.success, expected, `${name}: ${command}: ${result.message}`)
    }
  }
})

test('S: pages with known content are read and compared as a person does', async (t) => {
  if (!findChromium()) return t.skip('no Chromium is installed on this machine')
  const driver = createDriver('web')
  t.after(() => driver.close())
  await driver.open(signal)
  const eyes = await openEyes(t, driver, systemClock)
  const page = `<body style="margin:0;font:20px sans-serif"><h1>Order 4711</h1><p>Your parcel leaves on Friday.</p>
    <p style="color:#888;font-size:14px">Terms and conditions apply</p>
    <button style="background:#0a5;color:#fff;font-size:20px;padding:12px 30px;border:0">Pay now</button>
    <button style="background:#c22;color:#fff;font-size:20px;padding:12px 30px;border:0;display:none">Cancel</button>
    <p style="visibility:hidden">Secret offer</p></body>`
  assert.ok((await driver.execute('navigate_to_url', { url: `data:text/html,${encodeURIComponent(page)}` }, signal)).success)
  if (eyes.ocr) {
    for (const [text, expected] of [
      ['Order 4711', true],
      ['order 4712', false],
      ['leaves on Friday', true],
      ['Terms and conditions', true],
      ['Pay now', true],
      ['Cancel', false],
      ['Secret offer', false],
    ] as const) {
      const result = await eyes.check('waitForTextToAppear', { text })
      assert.equal(result.success, expected, `${text}: ${result.message}, read: ${String(result.extractedText)}`)
    }
  }
  const seen = await driver.screen(signal)
  const button = seen.elements.find((element) => element.text === 'Pay now')
  assert.ok(button)
  const { left, top, right, bottom } = button.bounds
  const whole = (await driver.screenshot(signal)).data
  const crop = await sharp(whole)
    .extract({ left, top, width: right - left, height: bottom - top })
    .png()
    .toBuffer()
  const references = { button: { data: crop.toString('base64') } }
  assert.equal((await eyes.check('waitForImageToAppear', { image_path: 'button' }, { references })).success, true)
  await driver.execute('execute_javascript', { script: "document.querySelector('button').style.background = '#c22'" }, signal)
  assert.equal((await eyes.check('waitForImageToAppear', { image_path: 'button' }, { references })).success, false)
  assert.equal((await eyes.check('DetectMotion', { duration: 0.5 })).success, false)
  await driver.execute(
    'execute_javascript',
    // No two pictures are alike, at whatever moments a busy machine takes them.
    { script: 'let n = 0; setInterval(() => { document.body.style.background = "hsl(" + ((n += 47) % 360) + " 90% 60%)" }, 50)' },
    signal,
  )
  assert.equal((await eyes.check('DetectMotion', { duration: 3 })).success, true)
})
