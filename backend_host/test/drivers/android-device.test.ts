// The Android driver against a device that speaks ADB over TCP. With ANDROID_DEVICE=192.168.1.50:5555 the first test runs
// on a real device; the others need a device that does what the test says.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import sharp from 'sharp'
import { readConfig } from '../../src/config.ts'
import { quoted } from '../../src/drivers/android/shell-text.ts'
import { createAdbKey, createDriver, type Driver, type DriverOptions } from '../../src/drivers/index.ts'
import { driversOf } from '../../src/drivers-of.ts'
import { findFfmpeg } from '../../src/features/live/index.ts'
import type { AndroidOptions, FakeAndroid } from '../fakes/android/adb-daemon.ts'
import { keyFolder, openAndroid, realDevice } from '../fakes/android/open-android.ts'
import { readMjpeg } from '../read-mjpeg.ts'
import { startLabWithAgent, until } from '../start-agent.ts'

const { signal } = new AbortController()
const timeout = 170_000

type Given = Partial<NonNullable<DriverOptions['android']>> & { folder?: string }

async function makeDriver(t: TestContext, address: { host: string; port: number }, given: Given = {}): Promise<Driver> {
  const { folder = await keyFolder(t), ...more } = given
  const android = { model: 'android_mobile' as const, address, key: createAdbKey(folder, 'test@host'), ...more }
  const driver = createDriver('android', { android })
  t.after(() => driver.close())
  return driver
}

async function openDriver(t: TestContext, options: AndroidOptions = {}, given: Given = {}) {
  const android = await openAndroid(t, options)
  const driver = await makeDriver(t, android, given)
  await driver.open(signal)
  const run = async (command: string, params: Record<string, unknown> = {}) => {
    const result = await driver.execute(command, params, signal)
    assert.equal(result.success, true, `${command}: ${result.message}`)
    return result
  }
  return { android, driver, run }
}

const noFaults = (android: FakeAndroid): void => assert.deepEqual(android.faults, [])

for (const version of [6, 11, 14] as const) {
  test(`S: a device with Android ${version} is driven: key, picture, elements, apps`, { timeout }, async (t) => {
    const real = realDevice()
    if (real && version !== 14) return t.skip('the real device has one version')
    const android = real ? null : await openAndroid(t, { android: version, width: 720, height: 1600 })
    const driver = await makeDriver(t, real ?? android ?? assert.fail(), { limits: { allowMs: 60_000 } })
    await driver.open(signal)
    for (const key of ['WAKEUP', 'HOME']) {
      const pressed = await driver.execute('press_key', { key }, signal)
      assert.equal(pressed.success, true, pressed.message)
    }
    const shot = await driver.screenshot(signal)
    const { width, height, format } = await sharp(shot.data).metadata()
    assert.deepEqual([format, width, height], ['png', shot.width, shot.height])
    const { elements } = await driver.screen(signal)
    assert.ok(elements.some((element) => element.text !== '' && element.clickable))
    for (const { bounds } of elements) assert.ok(bounds.left < shot.width && bounds.top < shot.height, JSON.stringify(bounds))
    const { apps } = await driver.execute('get_installed_apps', {}, signal)
    assert.ok(Array.isArray(apps) && apps.length > 0)
    if (!android) return
    assert.deepEqual([width, height], [720, 1600])
    noFaults(android)
  })
}

test('S: the key is made once and kept; the device asks once, later it is known by its signature', { timeout }, async (t) => {
  const folder = await keyFolder(t)
  const { android, driver } = await openDriver(t, {}, { folder })
  assert.deepEqual([android.counts.asked, android.counts.signedIn, android.keyNames], [1, 0, ['test@host']])
  await driver.close()
  const file = path.join(folder, 'adbkey')
  const made = await readFile(file, 'utf8')
  assert.match(made, /^-----BEGIN PRIVATE KEY-----/)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const second = await makeDriver(t, android, { folder })
  await second.open(signal)
  assert.deepEqual([android.counts.asked, android.counts.signedIn], [1, 1])
  assert.equal(await readFile(file, 'utf8'), made)
  await writeFile(file, 'something else')
  const third = await makeDriver(t, android, { folder })
  await assert.rejects(third.open(signal), /is not an RSA key of 2048 bits; remove it/)
  assert.equal(await readFile(file, 'utf8'), 'something else', 'what is there is never replaced')
})

test('N: who is not let in is told why', { timeout }, async (t) => {
  const open = async (options: AndroidOptions): Promise<void> => {
    const driver = await makeDriver(t, await openAndroid(t, options), { limits: { allowMs: 5000 } })
    await driver.open(signal)
  }
  await assert.rejects(open({ person: 'is away' }), /does not know this agent yet: allow debugging on its screen/)
  await assert.rejects(open({ person: 'denies' }), /does not allow this agent to debug it/)
  await assert.rejects(open({ wantsPairing: true }), /wireless debugging with pairing, which is not supported/)
  const web = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n'))
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
  t.after(() => web.close())
  const { port } = web.address() as { port: number }
  const other = await makeDriver(t, { host: '127.0.0.1', port })
  await assert.rejects(other.open(signal), /what answers there is not an Android device/)
})

const nasty = [
  `it's "quoted" and \\back\\slashed`,
  '$(touch /x) `touch /x` $HOME $((1+1))',
  "'; touch /x; '",
  "'$(touch /x)'",
  'a && touch /x || touch /x | touch /x > /x < /x & # no',
  '100%s %s% %%s 5%',
  ' two  spaces ',
  '-n --help *?[a-z]{1,2}~!^',
]

test('G: no text becomes a command of the shell: what is typed is what arrives', { timeout }, async (t) => {
  const { android, driver, run } = await openDriver(t)
  await run('launch_app', { package: 'demo.notes' })
  for (const text of nasty) {
    android.phone.state.typed = ''
    await run('input_text', { text })
    assert.equal(android.phone.state.typed, text)
    const echoed = execFileSync('/bin/sh', ['-c', `printf %s ${quoted(text)}`], { encoding: 'utf8' })
    assert.equal(echoed, text, 'a real shell agrees')
  }
  android.phone.state.typed = ''
  await run('input_text', { text: `two\nlines\tand ${'x'.repeat(900)}` })
  assert.equal(android.phone.state.typed, `two\nlines\tand ${'x'.repeat(900)}`)
  for (const text of ['héllo', '日本', '😀']) {
    const result = await driver.execute('input_text', { text }, signal)
    assert.match(result.message, /cannot type characters other than ASCII/)
    assert.equal(execFileSync('/bin/sh', ['-c', `printf %s ${quoted(text)}`], { encoding: 'utf8' }), text)
  }
  android.phone.keyboard = 'com.android.adbkeyboard/.AdbIME'
  android.phone.state.typed = ''
  await run('input_text', { text: "héllo 日本 😀; touch '/x'" })
  assert.equal(android.phone.state.typed, "héllo 日本 😀; touch '/x'")
  const before = android.lines.length
  for (const text of ['a\u0000b', 'a\u001bb', '\ud800']) {
    assert.match((await driver.execute('input_text', { text }, signal)).message, /cannot be typed: U\+/)
  }
  const names = [
    ...nasty,
    'demo.player; touch /x',
    'demo.player/$(touch)',
    '-p demo.player',
    'a/b/c',
    '',
    'demo..x',
    'x'.repeat(400),
  ]
  for (const name of names) {
    for (const command of ['launch_app', 'close_app']) {
      const result = await driver.execute(command, { package: name }, signal)
      assert.match(result.message, /is no package name|must not be empty/, name)
    }
  }
  assert.equal(android.lines.length, before, 'none of these reached the device')
  assert.equal(android.phone.files.has('/x'), false)
  noFaults(android)
})

test('S: apps open and close, and an app that is not there is named', { timeout }, async (t) => {
  const { android, driver, run } = await openDriver(t)
  const front = (): string | undefined => android.phone.state.opened.at(-1)
  assert.equal((await run('launch_app', { package: 'demo.player' })).in_front, true)
  assert.equal(front(), 'demo.player')
  await run('launch_app', { package: 'demo.notes/.Main' })
  assert.equal(front(), 'demo.notes')
  await run('close_app', { package: 'demo.notes' })
  assert.equal(front(), 'demo.player')
  const message = async (command: string, name: string) => (await driver.execute(command, { package: name }, signal)).message
  assert.equal(await message('launch_app', 'demo.missing'), 'demo.missing is not installed')
  assert.equal(await message('close_app', 'demo.missing'), 'demo.missing is not installed')
  assert.match(await message('launch_app', 'demo.service'), /could not be opened: .*No activities found/)
  assert.match(await message('launch_app', 'demo.player/.Other'), /could not be opened: Error type 3/)
})

test('S: elements are found by text, description and id, and clicked; swipes move the list', { timeout }, async (t) => {
  const { android, driver, run } = await openDriver(t, { width: 720, height: 1280 })
  await run('click_element', { element_text: 'watch now' })
  await run('click_element', { text: 'play or pause' })
  assert.equal(android.phone.state.isPlaying, true)
  const found = await run('find_element', { search_term: 'Ocean & Sky' })
  assert.equal((found.element as { text: string }).text, 'Playing "Ocean & Sky"')
  await run('click_element_by_id', { element_id: 'demo.player:id/play' })
  assert.equal(android.phone.state.isPlaying, false)
  const { elements } = await run('dump_elements')
  const play = (elements as { id: string; resourceId: string }[]).find((one) => one.resourceId === 'demo.player:id/play')
  await run('click_element_by_id', { element_id: play?.id })
  assert.equal(android.phone.state.isPlaying, true)
  assert.match((await driver.execute('click_element', { text: 'nowhere' }, signal)).message, /Element not found: nowhere/)
  await run('launch_app', { package: 'demo.list' })
  await run('swipe_up')
  assert.ok(android.phone.state.scroll > 0)
  await run('swipe', { from_x: 100, from_y: 100, to_x: 100, to_y: 1200, duration: 100 })
  assert.equal(android.phone.state.scroll, 0)
})

test('S: checks wait for elements; a screen that cannot be read proves nothing', { timeout }, async (t) => {
  const { android, driver, run } = await openDriver(t)
  const waiting = driver.execute('waitForElementToAppear', { search_term: 'Stopped', timeout: 30 }, signal)
  await until('it has looked', () => android.lines.some((line) => line.includes('uiautomator')))
  android.phone.state.opened.push('demo.player')
  assert.equal((await waiting).success, true)
  android.phone.listingFailures = 2
  await run('waitForElementToDisappear', { search_term: 'Watch now' })
  android.phone.listingFailures = 3
  const unread = await driver.execute('waitForElementToDisappear', { search_term: 'Watch now' }, signal)
  assert.deepEqual([unread.success, /never stands still/.test(unread.message)], [false, true], unread.message)
})

test('S: a TV has the keys of a remote control and no swipes', { timeout }, async (t) => {
  const { android, driver, run } = await openDriver(t, {}, { model: 'android_tv' })
  for (const key of ['DOWN', 'CHANNEL_UP', '5', 'RED', 'UP', 'OK']) await run('press_key', { key })
  assert.equal(android.phone.state.opened.at(-1), 'demo.player')
  const { remote, av } = driver.definitions.device_capabilities
  assert.deepEqual([driver.model, remote, av], ['android_tv', 'android_tv', 'hdmi_stream'])
  assert.match((await driver.execute('swipe_up', {}, signal)).message, /Unknown command/)
})

test('N: a device that sends more than it may is cut off, and no picture is said to be none', { timeout }, async (t) => {
  const { android, driver, run } = await openDriver(t)
  const own = android.phone.run
  const answer = (stdout: Buffer) => async () => ({ stdout, stderr: Buffer.from('FAILURE: screen is secure\n'), exitCode: 0 })
  android.phone.run = answer(Buffer.alloc(9 * 1024 * 1024, 'package:a.b\n'))
  const flood = await driver.execute('get_installed_apps', {}, signal)
  assert.match(flood.message, /sent more than 8388608 bytes/)
  android.phone.run = answer(Buffer.alloc(0))
  await assert.rejects(driver.screenshot(signal), /gave no picture: FAILURE: screen is secure/)
  android.phone.run = own
  await run('press_key', { key: 'HOME' })
  const liar = createServer((socket) => {
    socket.on('error', () => undefined)
    const header = Buffer.alloc(24)
    header.writeUInt32LE(0x4e584e43, 0)
    header.writeUInt32LE(0xffffffff, 12)
    header.writeUInt32LE((0x4e584e43 ^ 0xffffffff) >>> 0, 20)
    socket.write(header)
  })
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve))
  t.after(() => liar.close())
  const other = await makeDriver(t, { host: '127.0.0.1', port: (liar.address() as { port: number }).port })
  await assert.rejects(other.open(signal), /what answers there is not an Android device/)
})

test('N: settings of an Android device are checked at the start', () => {
  const read = (device: Record<string, string>) => {
    const named = Object.entries({ NAME: 'Phone', MODEL: 'android_mobile', IP: '10.0.0.5', ...device })
    const env = Object.fromEntries(named.map(([name, value]) => [`DEVICE1_${name}`, value]))
    return readConfig({ SERVER_URL: 'http://127.0.0.1:1', HOST_NAME: 'h', ...env }).devices[0]
  }
  const { driver, ip, port } = read({}) ?? {}
  assert.deepEqual([driver, ip, port], ['android', '10.0.0.5', '5555'])
  assert.equal(read({ MODEL: 'android_tv', IP: 'tv-1.lab.example', PORT: '5556' })?.port, '5556')
  assert.equal(read({ DRIVER: 'sim' })?.driver, 'sim')
  assert.throws(() => read({ IP: '' }), /DEVICE1_IP must be set to the address/)
  assert.throws(() => read({ IP: 'two words' }), /DEVICE1_IP must be an address/)
  assert.throws(() => read({ PORT: '99999' }), /DEVICE1_PORT must be a port number/)
  assert.throws(() => read({ MODEL: 'stb', DRIVER: 'android' }), /DEVICE1_MODEL must be android_mobile or android_tv/)
})

test('N: a device that drops is told of, and the next command connects again', { timeout }, async (t) => {
  const { android, driver, run } = await openDriver(t)
  android.isStuck = true
  const cut = driver.execute('press_key', { key: 'DOWN' }, signal)
  await until('the command is there', () => android.lines.length > 0)
  android.drop()
  assert.match((await cut).message, /connection to the device at 127\.0\.0\.1:\d+ was lost/)
  android.isStuck = false
  await run('press_key', { key: 'DOWN' })
  assert.equal(android.counts.connections, 2)
  await android.stop()
  await until('it is named as away', async () => {
    const { success, message } = await driver.execute('press_key', { key: 'DOWN' }, signal)
    assert.equal(success, false)
    return /cannot be reached: it refuses the connection/.test(message)
  })
  await assert.rejects(driver.screenshot(signal), /cannot be reached/)
  await android.start()
  await run('press_key', { key: 'DOWN' })
  await driver.close()
  await until('nothing is left', () => android.connections() === 0)
  noFaults(android)
})

test('N: a command has an end, and a connection on which nothing is answered is given up', { timeout }, async (t) => {
  const { android, driver } = await openDriver(t, {}, { limits: { commandMs: 1500 } })
  android.isStuck = true
  const late = await driver.execute('press_key', { key: 'DOWN' }, signal)
  assert.match(late.message, /did not finish within 1\.5 s/)
  await until('the connection is given up', () => android.connections() === 0)
  android.isStuck = false
  const press = async (): Promise<boolean> => (await driver.execute('press_key', { key: 'DOWN' }, signal)).success
  await until('it works again', press)
})

test('S: the live picture shows an Android device, and comes back with it', { timeout }, async (t) => {
  const android = await openAndroid(t, { width: 1080, height: 2400 })
  const env = {
    DEVICE1_MODEL: 'android_mobile',
    DEVICE1_DRIVER: 'android',
    DEVICE1_IP: android.host,
    DEVICE1_PORT: `${android.port}`,
    DEVICE2_MODEL: 'android_tv',
    DEVICE2_DRIVER: 'android',
    DEVICE2_IP: android.host,
  }
  const lab = await startLabWithAgent(t, env, driversOf({ dataDir: await keyFolder(t), hostName: 'test host' }))
  const [phone, tv] = lab.server.registrations[0]?.devices ?? []
  assert.deepEqual([phone?.device_ip, phone?.device_port, tv?.device_port], [android.host, `${android.port}`, '5555'])
  const actions = (device: typeof tv) => JSON.stringify(device?.device_action_types?.verification ?? [])
  assert.match(actions(tv), /"command":"waitForImageToAppear","action_type":"verification".*"inputParam":"image_path"/)
  assert.equal(actions(phone), '[]')
  const viewer = await readMjpeg(`${lab.url}/host/stream/capture1/live.mjpeg?fps=5`)
  const sizeOfLast = async () => sharp(viewer.frames.at(-1)?.data).metadata()
  await until('a picture came', () => viewer.frames.length > 0)
  const { format, width, height } = await sizeOfLast()
  assert.deepEqual([format, width, height], ['jpeg', 576, 1280], 'smaller than the screen, in its shape')
  const pictures = android.phone.pictures
  await until('more pictures were taken', () => android.phone.pictures > pictures + 2)
  // The last picture is repeated now and then, so what counts is when they were taken.
  const taken = () => new Set(viewer.frames.map((frame) => frame.at)).size
  assert.equal(taken(), 1, 'a screen that stands still makes one picture')
  await lab.server.callAgent('/host/remote/executeCommand', {
    device_id: 'device1',
    command: 'press_key',
    params: { key: 'DOWN' },
  })
  await until('the change is seen', () => taken() > 1)
  await android.stop()
  const before = taken()
  android.phone.state.opened.push('demo.player')
  await android.start()
  await until('the picture is back', () => taken() > before)
  viewer.close()
  await until('nobody looks, nothing is taken', async () => {
    const call = lab.server.registrations[0]?.call_key ?? ''
    const answer = await fetch(`${lab.url}/host/av/status?device_id=device1`, { headers: { 'x-api-key': call } })
    return ((await answer.json()) as { status: { is_capturing: boolean } }).status.is_capturing === false
  })
  if (!(await findFfmpeg())) return
  const list = (): Promise<Response> => fetch(`${lab.url}/host/stream/capture1/segments/output.m3u8`)
  await until('players of HLS are served from the same pictures', async () => (await list()).status === 200)
  assert.match(await (await list()).text(), /segment_\d{9}\.ts/)
})
