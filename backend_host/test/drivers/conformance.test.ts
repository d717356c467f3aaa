import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import sharp from 'sharp'
import { createAdbKey, createDriver, type Driver, type DriverKind, driverKinds, findChromium } from '../../src/drivers/index.ts'
import { keyFolder, openAndroid } from '../fakes/android/open-android.ts'
import { createFakeClock } from './fake-clock.ts'

/** What every driver promises, whatever the device: the suite that a new kind of device must pass. */

const { signal } = new AbortController()

/** Parameters with which each command of the tables works on a fresh device; those that are missing need none. */
const workingParams: Record<DriverKind, Record<string, Record<string, unknown>>> = {
  sim: {
    launch_app: { package: 'demo.streamly' },
    close_app: { package: 'demo.streamly' },
    sim_show: { fault: 'none' },
  },
  web: {
    navigate_to_url: { url: 'data:text/html,<title>T</title><button id=b onclick="this.textContent=1">Go</button><input id=i>' },
    click_element: { text: 'Go' },
    hover_element: { element_id: 'b' },
    find_element: { selector: 'button' },
    input_text: { selector: '#i', text: 'hello' },
    tap_x_y: { x: 5, y: 5 },
    execute_javascript: { script: 'document.title' },
    press_key: { key: 'TAB' },
    scroll: { direction: 'down' },
    waitForElementToAppear: { search_term: 'b' },
    waitForElementToDisappear: { search_term: '#nothing', timeout: 0 },
  },
  // Every screen of the simulated device has a title, whatever the commands before have opened.
  android: {
    input_text: { text: 'hello' },
    launch_app: { package: 'demo.player' },
    close_app: { package: 'demo.player' },
    click_element: { element_id: 'title' },
    click_element_by_id: { element_id: 'title' },
    find_element: { search_term: 'title' },
    waitForElementToAppear: { search_term: 'title' },
    waitForElementToDisappear: { search_term: 'nothing like this' },
    tap_coordinates: { x: 5, y: 5 },
    swipe: { from_x: 5, from_y: 5, to_x: 50, to_y: 50 },
  },
}

/** Refused on the home screen of a box for a good reason, which is checked in the tests of the box. */
const needsAState = ['input_text']

/** A simulated device lives on simulated time, a real one cannot. */
async function openDriver(t: TestContext, kind: DriverKind, hasRealTime = kind !== 'sim'): Promise<Driver | null> {
  if (kind === 'web' && !findChromium()) {
    t.skip('no Chromium is installed on this machine')
    return null
  }
  const driver = await makeDriver(t, kind, hasRealTime)
  t.after(() => driver.close())
  await driver.open(signal)
  return driver
}

async function makeDriver(t: TestContext, kind: DriverKind, hasRealTime = true): Promise<Driver> {
  if (kind !== 'android') return createDriver(kind, hasRealTime ? {} : { clock: createFakeClock() })
  const address = await openAndroid(t)
  return createDriver(kind, { android: { model: 'android_mobile', address, key: createAdbKey(await keyFolder(t), 'test@host') } })
}

for (const kind of driverKinds) {
  test(`S: ${kind} advertises definitions in the shape of the protocol`, async (t) => {
    const { model, definitions } = await makeDriver(t, kind)
    assert.ok(model.length > 0)
    const names = ['ai', 'av', 'desktop', 'power', 'remote', 'verification', 'web']
    assert.deepEqual(Object.keys(definitions.device_capabilities).sort(), names)
    const ids = new Set<string>()
    for (const [category, actions] of Object.entries(definitions.device_action_types)) {
      assert.ok(actions.length > 0, category)
      for (const action of actions) {
        assert.ok(action.id && action.label && action.command && action.action_type, JSON.stringify(action))
        assert.equal(ids.has(action.id), false, `two actions have the id ${action.id}`)
        ids.add(action.id)
        assert.equal(action.requiresInput ? typeof action.inputParam : 'string', 'string', action.id)
      }
    }
    for (const [verification, checks] of Object.entries(definitions.device_verification_types)) {
      for (const check of checks) assert.equal(check.verification_type, verification)
    }
    assert.deepEqual(JSON.parse(JSON.stringify(definitions)), definitions, 'definitions survive the wire')
  })

  test(`S: what ${kind} advertises works`, async (t) => {
    const driver = await openDriver(t, kind)
    if (!driver) return
    const { device_action_types, device_verification_types } = driver.definitions
    const known = workingParams[kind]
    if (kind === 'web') await driver.execute('navigate_to_url', known.navigate_to_url ?? {}, signal)
    for (const check of Object.values(device_verification_types).flat()) {
      const result = await driver.execute(check.command, known[check.command] ?? {}, signal)
      assert.ok(result.success, `${check.command}: ${result.message}`)
    }
    for (const action of Object.values(device_action_types).flat()) {
      const params = { ...known[action.command], ...action.params }
      const result = await driver.execute(action.command, params, signal)
      if (kind === 'sim' && needsAState.includes(action.command)) continue
      // Keys come before the power commands, and one of the keys puts the box to sleep.
      if (kind === 'sim' && action.command === 'press_key' && action.params.key === 'POWER')
        await driver.execute('power_on', {}, signal)
      assert.ok(result.success, `${action.id}: ${result.message}`)
      if (action.id === 'close_browser' || action.id === 'open_browser') {
        await driver.execute('navigate_to_url', known.navigate_to_url ?? {}, signal)
      }
    }
  })

  test(`N: ${kind} answers bad input with success false and never throws`, async (t) => {
    const driver = await openDriver(t, kind)
    if (!driver) return
    const bad: [string, Record<string, unknown>, RegExp][] = [
      ['no_such_command', {}, /Unknown command/],
      ['', {}, /Unknown command/],
      ['constructor', {}, /Unknown command/],
      ['__proto__', {}, /Unknown command/],
      ['x'.repeat(100_000), {}, /Unknown command/],
      ['press_key', {}, /key is missing/],
      ['press_key', { key: 'NO_SUCH_KEY' }, /key must be one of/],
      ['press_key', { key: { nested: true } }, /key must be a text/],
      ['press_key', { key: 'OK', more: 1 }, /unknown parameter more/],
      ['press_key', JSON.parse('{"key":"OK","__proto__":1}'), /unknown parameter __proto__/],
      ['press_key', { key: null }, /key is missing/],
      ['input_text', { text: 'x'.repeat(200_000), selector: '#i' }, /longer than|unknown parameter/],
    ]
    for (const [command, params, expected] of bad) {
      const result = await driver.execute(command, params, signal)
      assert.equal(result.success, false, `${command} ${JSON.stringify(params)}`)
      assert.match(result.message, expected)
      assert.equal(result.error, result.message)
      assert.ok(result.message.length < 1500)
    }
  })

  test(`S: the screenshot of ${kind} is a picture of the size it says`, async (t) => {
    const driver = await openDriver(t, kind)
    if (!driver) return
    const shot = await driver.screenshot(signal)
    const { width, height, format } = await sharp(shot.data).metadata()
    assert.deepEqual([width, height, `image/${format}`], [shot.width, shot.height, shot.contentType])
    assert.deepEqual([width, height], [1280, 720])
  })

  test(`S: the screen of ${kind} lists texts and elements inside of the picture`, async (t) => {
    const driver = await openDriver(t, kind)
    if (!driver) return
    if (kind === 'web')
      await driver.execute('navigate_to_url', { url: 'data:text/html,<h1>Watch now</h1><button>Go</button>' }, signal)
    const { texts, elements } = await driver.screen(signal)
    assert.ok(texts.includes('Watch now'))
    assert.ok(elements.some((element) => element.clickable))
    for (const { id, text, bounds } of elements) {
      assert.ok(id.length > 0)
      assert.ok(bounds.left < bounds.right && bounds.top < bounds.bottom, `${text} has no size`)
      assert.ok(bounds.right > 0 && bounds.bottom > 0 && bounds.left < 1280 && bounds.top < 720, `${text} is outside`)
    }
  })

  test(`N: ${kind} refuses after close and works after the next open`, async (t) => {
    const driver = await openDriver(t, kind)
    if (!driver) return
    await driver.close()
    await driver.close()
    const refused = await driver.execute('press_key', { key: 'OK' }, signal)
    assert.equal(refused.success, false)
    assert.match(refused.message, /not connected/)
    await assert.rejects(driver.screenshot(signal), /not connected/)
    await assert.rejects(driver.screen(signal), /not connected/)
    await driver.open(signal)
    const works = await driver.execute('press_key', { key: 'OK' }, signal)
    assert.equal(works.success, true, works.message)
  })

  test(`N: ${kind} is as it was after an open that was not needed`, async (t) => {
    const driver = await openDriver(t, kind)
    if (!driver) return
    const before = (await driver.screen(signal)).elements
    await driver.open(signal)
    assert.deepEqual((await driver.screen(signal)).elements, before)
  })

  test(`N: ${kind} rejects with the reason of an abort, also in the middle of a wait`, async (t) => {
    const driver = await openDriver(t, kind, true)
    if (!driver) return
    const reason = new Error('the lease is lost')
    const early = AbortSignal.abort(reason)
    await assert.rejects(driver.execute('press_key', { key: 'OK' }, early), reason)
    await assert.rejects(driver.screenshot(early), reason)
    await assert.rejects(driver.screen(early), reason)
    const late = new AbortController()
    // A key needs at least 40 ms to reach the box.
    const [command, params, afterMs] =
      kind === 'sim'
        ? (['press_key', { key: 'DOWN' }, 10] as const)
        : (['waitForElementToAppear', { search_term: 'never there', timeout: 60 }, 50] as const)
    const waiting = driver.execute(command, params, late.signal)
    setTimeout(() => late.abort(reason), afterMs)
    const started = performance.now()
    await assert.rejects(waiting, (error) => error === reason || (error instanceof Error && error.cause === reason))
    assert.ok(performance.now() - started < 40_000)
  })
}
