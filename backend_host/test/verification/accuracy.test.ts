import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import sharp, { type Sharp } from 'sharp'
import { createDriver, type Driver, findChromium, systemClock } from '../../src/drivers/index.ts'
import { createFakeClock } from '../drivers/fake-clock.ts'
import { openEyes } from './open-eyes.ts'

/**
 * Tables of cases with the verdict a person would give. Cases that a tool gets wrong are in the tables too, marked
 * `isKnownMiss`, and in docs/verification.md; a miss that is mended must be taken out of both.
 */
const { signal } = new AbortController()
/** A moment at which the programs of all channels are known. */
const noon = Date.UTC(2026, 0, 5, 12, 0, 0)

type Screen = 'home' | 'tv' | 'menu' | 'settings' | 'app'

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

interface TextCase {
  screen: Screen
  text: string
  isThere: boolean
  area?: { x: number; y: number; width: number; height: number }
  isKnownMiss?: true
}

const textCases: TextCase[] = [
  { screen: 'home', text: 'On now', isThere: true },
  { screen: 'home', text: 'Apps and more', isThere: true },
  { screen: 'home', text: 'Sport Arena 2', isThere: true },
  { screen: 'home', text: 'Cinema Gold', isThere: true },
  { screen: 'home', text: 'STREAMLY', isThere: true, area: { x: 60, y: 604, width: 216, height: 76 } },
  // Bold letters on a bright tile, beside tiles of other colors.
  { screen: 'home', text: 'Streamly', isThere: true, isKnownMiss: true },
  { screen: 'home', text: 'Settings', isThere: true },
  { screen: 'home', text: 'All channels', isThere: true },
  { screen: 'home', text: 'Watch now', isThere: true, area: { x: 60, y: 116, width: 600, height: 258 } },
  // A framed pill in inverted colors is taken for a drawing when the whole screen is read.
  { screen: 'home', text: 'Watch now', isThere: true, isKnownMiss: true },
  { screen: 'home', text: 'Watch later', isThere: false },
  { screen: 'home', text: 'Sport Arena 3', isThere: false },
  { screen: 'home', text: 'Standby', isThere: false },
  { screen: 'home', text: 'On now', isThere: false, area: { x: 0, y: 0, width: 1280, height: 380 } },
  { screen: 'home', text: 'Settings', isThere: true, area: { x: 1004, y: 604, width: 216, height: 76 } },
  { screen: 'home', text: 'Search', isThere: false, area: { x: 1004, y: 604, width: 216, height: 76 } },
  { screen: 'tv', text: 'One HD', isThere: true },
  { screen: 'tv', text: 'Next:', isThere: true },
  { screen: 'tv', text: '12:00', isThere: true },
  { screen: 'tv', text: '12:05', isThere: false },
  { screen: 'tv', text: 'Two HD', isThere: false },
  { screen: 'menu', text: 'Live TV', isThere: true },
  { screen: 'menu', text: 'Standby', isThere: true },
  { screen: 'menu', text: 'Wi-Fi', isThere: false },
  { screen: 'settings', text: 'Picture format', isThere: true },
  { screen: 'settings', text: 'Audio language', isThere: true },
  { screen: 'settings', text: '192.0.2.17', isThere: true },
  { screen: 'settings', text: '192.0.2.71', isThere: false },
  { screen: 'settings', text: 'Software 4.2.1', isThere: true },
  { screen: 'settings', text: 'Software 4.2.7', isThere: false },
  { screen: 'app', text: 'Tunewave', isThere: true },
  { screen: 'app', text: 'Recommended for you', isThere: true },
  { screen: 'app', text: 'Acoustic Sunday', isThere: true },
  { screen: 'app', text: 'Acoustic Monday', isThere: false },
]

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

interface ImageCase {
  name: string
  from: Screen
  crop: { left: number; top: number; width: number; height: number }
  change?: (image: Sharp) => Sharp
  on: Screen
  isThere: boolean
  threshold?: number
  area?: { x: number; y: number; width: number; height: number }
  isKnownMiss?: true
}

const logo = { left: 64, top: 38, width: 48, height: 48 }
const searchTile = { left: 768, top: 604, width: 216, height: 76 }
const newsTile = { left: 452, top: 428, width: 180, height: 66 }
const imageCases: ImageCase[] = [
  { name: 'logo', from: 'home', crop: logo, on: 'home', isThere: true },
  { name: 'logo on another screen', from: 'home', crop: logo, on: 'settings', isThere: true },
  { name: 'logo of nothing', from: 'home', crop: logo, on: 'tv', isThere: false },
  { name: 'tile', from: 'home', crop: searchTile, on: 'home', isThere: true },
  { name: 'tile elsewhere', from: 'home', crop: searchTile, on: 'menu', isThere: false },
  {
    name: 'tile in its area',
    from: 'home',
    crop: searchTile,
    on: 'home',
    isThere: true,
    area: { x: 700, y: 560, width: 400, height: 160 },
  },
  {
    name: 'tile in another area',
    from: 'home',
    crop: searchTile,
    on: 'home',
    isThere: false,
    area: { x: 0, y: 0, width: 700, height: 500 },
  },
  {
    name: 'tile as JPEG of low quality',
    from: 'home',
    crop: newsTile,
    change: (image) => image.jpeg({ quality: 50 }),
    on: 'home',
    isThere: true,
  },
  { name: 'tile a little blurred', from: 'home', crop: newsTile, change: (image) => image.blur(0.8), on: 'home', isThere: true },
  {
    name: 'tile in another color',
    from: 'home',
    crop: newsTile,
    change: (image) => image.modulate({ hue: 120 }),
    on: 'home',
    isThere: false,
  },
  { name: 'tile mirrored', from: 'home', crop: newsTile, change: (image) => image.flop(), on: 'home', isThere: false },
  { name: 'button pressed', from: 'menu', crop: { left: 40, top: 100, width: 300, height: 70 }, on: 'tv', isThere: false },
  { name: 'banner number', from: 'tv', crop: { left: 84, top: 544, width: 132, height: 102 }, on: 'tv', isThere: true },
  {
    name: 'banner number on home',
    from: 'tv',
    crop: { left: 84, top: 544, width: 132, height: 102 },
    on: 'home',
    isThere: false,
  },
  { name: 'one letter', from: 'settings', crop: { left: 118, top: 48, width: 24, height: 28 }, on: 'settings', isThere: true },
  {
    name: 'tile a tenth larger',
    from: 'home',
    crop: newsTile,
    change: (image) => image.resize(198, 73),
    on: 'home',
    isThere: true,
    isKnownMiss: true,
  },
]

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
  const cases: [string, () => Promise<unknown>, Record<string, boolean>][] = [
    ['home', async () => undefined, { DetectMotion: false, DetectFreeze: true, DetectBlackscreen: false, DetectSilence: true }],
    [
      'live picture',
      () => press('HOME', 'OK', '9', 'OK'),
      {
        DetectMotion: true,
        DetectFreeze: false,
        DetectBlackscreen: false,
        DetectSilence: false,
        WaitForVideoToAppear: true,
        WaitForAudioToAppear: true,
      },
    ],
    [
      'freeze',
      () => fault('freeze'),
      { DetectMotion: false, DetectFreeze: true, DetectBlackscreen: false, WaitForVideoToDisappear: true },
    ],
    ['black', () => fault('black'), { DetectMotion: false, DetectFreeze: true, DetectBlackscreen: true }],
    ['no sound', () => fault('silence'), { DetectMotion: true, DetectSilence: true, WaitForAudioToAppear: false }],
    ['no fault', () => fault('none'), { DetectMotion: true, DetectSilence: false }],
    ['paused', () => press('MEDIA_PLAY_PAUSE'), { DetectFreeze: true, DetectSilence: true, DetectBlackscreen: false }],
    ['standby', () => press('MEDIA_PLAY_PAUSE', 'POWER'), { DetectFreeze: true, DetectBlackscreen: true, DetectSilence: true }],
    ['off', () => driver.execute('power_off', {}, signal), { DetectBlackscreen: true, DetectSilence: true }],
  ]
  for (const [name, go, verdicts] of cases) {
    await go()
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
    { script: "setInterval(() => document.body.style.background = ['#fff', '#08f'][Math.floor(Date.now() / 150) % 2], 50)" },
    signal,
  )
  assert.equal((await eyes.check('DetectMotion', { duration: 1.5 })).success, true)
})
