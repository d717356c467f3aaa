import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createDriver, type Driver, systemClock } from '../../src/drivers/index.ts'
import { createFakeClock } from '../drivers/fake-clock.ts'
import { type SubtitleCase, subtitleCases, zapCases } from './cases.ts'
import { openEyes } from './open-eyes.ts'

/** Changes of channel and subtitles: the cases of cases.ts on the simulated box, whose time a test may pass at will. */
const { signal } = new AbortController()
const noon = Date.UTC(2026, 0, 5, 12, 0, 0)
const momentMs = 4000

async function openBox(t: TestContext) {
  const clock = createFakeClock(noon)
  const driver = createDriver('sim', { clock, seed: 3 })
  t.after(() => driver.close())
  await driver.open(signal)
  const press = async (...keys: string[]) => {
    for (const key of keys) assert.ok((await driver.execute('press_key', { key }, signal)).success, key)
  }
  return { clock, driver, press }
}

test('S: a change of channel is told from everything else that stops or darkens the picture, and measured', async (t) => {
  const wrong: string[] = []
  for (const { name, before, key, fault, isZap, kind, isKnownMiss } of zapCases) {
    const { clock, driver, press } = await openBox(t)
    const eyes = await openEyes(t, driver, clock)
    await press(...before)
    clock.pass(6000)
    if (fault) await driver.execute('sim_show', { fault: fault.kind, seconds: fault.seconds }, signal)
    const result = await eyes.check('DetectZapping', { ...(key && { key }), max_images: 3 })
    if ((result.success === isZap) !== !isKnownMiss) wrong.push(`${name}: ${result.message}`)
    if (!isZap || isKnownMiss) continue
    const { transition_kind, blackscreen_duration, zap_duration } = result.output_data as Record<string, number | string>
    assert.equal(transition_kind, kind, name)
    // The box waits 300 to 900 ms for a picture after a reaction of 40 to 110 ms; looks are 100 ms apart.
    assert.ok(Number(blackscreen_duration) >= 0.2 && Number(blackscreen_duration) <= 1.1, `${name}: ${blackscreen_duration}`)
    assert.ok(Number(zap_duration) >= 0.3 && Number(zap_duration) <= 1.2, `${name}: ${zap_duration}`)
  }
  assert.deepEqual(wrong, [])
})

/** A picture of the box in the state of the case, and a device that shows it. */
async function shown(t: TestContext, one: SubtitleCase): Promise<Driver> {
  const { clock, driver, press } = await openBox(t)
  const toSettings = ['MENU', 'DOWN', 'DOWN', 'DOWN', 'DOWN', 'DOWN', 'OK']
  const languages = ['English', 'Deutsch', 'Français']
  if (one.subtitles !== 'off' || one.name === 'settings') {
    await press(...toSettings)
    if (one.subtitles !== 'off') {
      await press('DOWN', 'DOWN', 'DOWN', ...languages.slice(0, languages.indexOf(one.subtitles)).map(() => 'OK'), 'DOWN', 'OK')
    }
  }
  if (one.channel !== null) {
    await press('HOME', 'OK', ...String(one.channel), 'OK')
    // The second moment of each twelve seconds has two lines; the banner is gone by then unless it is wanted.
    const wanted = noon + momentMs * (one.hasBanner ? 0 : 4) + 1500
    clock.pass(one.hasBanner ? 1500 : Math.max(0, wanted - clock.now()))
  }
  const { data } = await driver.screenshot(signal)
  return { ...driver, screenshot: async () => ({ data, contentType: 'image/png', width: 1280, height: 720 }) }
}

test('S: subtitles are told from tickers, banners and lists, and read with their language', async (t) => {
  const wrong: string[] = []
  for (const one of subtitleCases) {
    const eyes = await openEyes(t, await shown(t, one), systemClock)
    if (!eyes.ocr) return t.skip('Tesseract is not installed on this machine')
    const result = await eyes.check('DetectSubtitles')
    const isRight = result.success === (one.subtitles !== 'off')
    const about = `${one.name}, ${one.subtitles}: ${result.message}`
    if (isRight !== !one.isKnownMiss) wrong.push(about)
    if (one.text === undefined || !result.success) continue
    assert.ok(String(result.extractedText).includes(one.text), about)
    assert.equal(result.detectedLanguage, one.language, about)
    assert.ok(result.sourceUrl && result.overlayUrl, about)
  }
  assert.deepEqual(wrong, [])
})
