import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import sharp from 'sharp'
import { createDriver } from '../../src/drivers/index.ts'
import { channels } from '../../src/drivers/sim/channels.ts'
import { luminance } from '../../src/sdk/index.ts'
import { createFakeClock } from './fake-clock.ts'

const { signal } = new AbortController()

async function openBox(t: TestContext, imageType: 'png' | 'jpeg' = 'png') {
  const clock = createFakeClock()
  const driver = createDriver('sim', { clock, seed: 3, imageType })
  t.after(() => driver.close())
  await driver.open(signal)
  const execute = async (command: string, params: Record<string, unknown> = {}) => driver.execute(command, params, signal)
  const press = async (...keys: string[]) => {
    for (const key of keys) assert.equal((await execute('press_key', { key })).success, true)
  }
  const texts = async () => (await driver.screen(signal)).texts
  return { clock, driver, execute, press, texts }
}

test('S: every channel moves, and no two channels look the same', async (t) => {
  const { clock, driver, press } = await openBox(t)
  await press('HOME', 'OK')
  const pictures = new Set<string>()
  for (const channel of channels) {
    clock.pass(5000)
    const first = await driver.screenshot(signal)
    clock.pass(1000)
    const second = await driver.screenshot(signal)
    assert.notDeepEqual(second.data, first.data, `${channel.name} stands still`)
    assert.ok((await luminance(first.data)) > 4, `${channel.name} is dark`)
    pictures.add(first.data.toString('base64'))
    await press('CHANNEL_UP')
  }
  assert.equal(pictures.size, channels.length)
})

test('S: faults reach the picture and the sound, and pass', async (t) => {
  const { clock, driver, execute, press } = await openBox(t)
  await press('HOME', 'OK', '9', 'OK')
  clock.pass(10_000)
  assert.ok(((await driver.sound?.(signal)) ?? 0) > 0)
  assert.equal((await execute('sim_show', { fault: 'freeze' })).success, true)
  const frozen = await driver.screenshot(signal)
  clock.pass(60_000)
  assert.deepEqual((await driver.screenshot(signal)).data, frozen.data)
  await execute('sim_show', { fault: 'black', seconds: '3' })
  assert.equal(await luminance((await driver.screenshot(signal)).data), 0)
  assert.deepEqual((await driver.screen(signal)).elements, [])
  clock.pass(3000)
  assert.ok((await luminance((await driver.screenshot(signal)).data)) > 5)
  await execute('sim_show', { fault: 'silence' })
  assert.equal(await driver.sound?.(signal), 0)
})

test('S: apps open and close by package, label or id; a box that is off refuses', async (t) => {
  const { clock, execute, texts } = await openBox(t)
  const { apps } = await execute('get_installed_apps')
  assert.equal((apps as unknown[]).length, 3)
  for (const name of ['demo.tunewave', 'Tunewave', 'tunewave']) {
    assert.equal((await execute('launch_app', { package: name })).success, true)
    clock.pass(2000)
    assert.ok((await texts()).includes('Tunewave'))
    assert.equal((await execute('close_app', { package: name })).success, true)
    assert.ok((await texts()).includes('Watch now'))
  }
  assert.match((await execute('launch_app', { package: 'com.example.none' })).message, /There is no app/)
  assert.match((await execute('input_text', { text: 'x' })).message, /no text field/)
  assert.match((await execute('tap_coordinates', { x: 1, y: 1 })).message, /no touch screen/)
  await execute('power_off')
  assert.equal((await execute('power_status')).status, 'off')
  assert.match((await execute('launch_app', { package: 'tunewave' })).message, /is off/)
  assert.match((await execute('sim_reboot')).message, /is off/)
  await execute('reboot')
  assert.equal((await execute('power_status')).status, 'starting')
  clock.pass(9000)
  assert.ok((await texts()).includes('Watch now'))
})

test('S: a box goes on while nobody is connected', async (t) => {
  const { clock, driver, execute, texts } = await openBox(t)
  await execute('sim_reboot')
  await driver.close()
  clock.pass(20_000)
  await driver.open(signal)
  assert.ok((await texts()).includes('Watch now'))
})

test('Q: pictures come as JPEG when wanted, and one moment is drawn once', async (t) => {
  const { driver } = await openBox(t, 'jpeg')
  const shot = await driver.screenshot(signal)
  assert.equal(shot.contentType, 'image/jpeg')
  assert.equal((await sharp(shot.data).metadata()).format, 'jpeg')
  const [again, third] = await Promise.all([driver.screenshot(signal), driver.screenshot(signal)])
  assert.equal(again.data, shot.data)
  assert.equal(third.data, shot.data)
})

test('N: text from outside is drawn, whatever it contains', async (t) => {
  const { execute, press, driver } = await openBox(t)
  for (const text of [
    '<svg onload="x">',
    '&lt;&amp;"\'',
    '\u0000\u0007\ud800',
    '日本語 עברית 🎬',
    ' '.repeat(10),
    ']]></text>',
  ]) {
    await press('HOME', 'MENU', 'DOWN', 'DOWN', 'DOWN', 'DOWN', 'OK')
    assert.equal((await execute('input_text', { text })).success, true)
    const { width } = await driver.screenshot(signal)
    assert.equal(width, 1280)
  }
})
