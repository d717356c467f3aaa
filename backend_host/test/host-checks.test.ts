import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type TestContext, test } from 'node:test'
import sharp from 'sharp'
import { createDriver } from '../src/drivers/index.ts'
import { type LabWithAgent, startLabWithAgent, until } from './start-agent.ts'

/** Checks, blocks and the shell of an agent over its routes, on real drivers. */
type Body = Record<string, unknown>

const startBox = (t: TestContext, env: Record<string, string> = {}) =>
  startLabWithAgent(t, env, ({ driver }) => createDriver(driver, { seed: 3 }))
const callOf =
  (lab: LabWithAgent) =>
  (path: string, body: Body = {}) =>
    lab.server.callAgent(path, { device_id: 'device1', ...body })

async function get(lab: LabWithAgent, path: string): Promise<Body> {
  const headers = { 'x-api-key': lab.server.registrations[0]?.call_key ?? '' }
  return (await (await fetch(`${lab.url}${path}`, { headers })).json()) as Body
}

async function block(lab: LabWithAgent, command: string, params: Body): Promise<Body> {
  const { body } = await callOf(lab)('/host/builder/execute', { command, params })
  let status: Body = {}
  await until(`${command} ends`, async () => {
    status = await get(lab, `/host/builder/execution/${String(body.execution_id)}/status`)
    return status.status !== 'running'
  })
  return (status.result as { results: Body[] }).results[0] ?? {}
}

test('hosts.md 12.2: standard blocks compute, compare, name values and call others, and refuse what they cannot', async (t) => {
  const lab = await startBox(t)
  const condition = (operand_type: string, left_operand: unknown, name: string, right_operand?: unknown) =>
    block(lab, 'evaluate_condition', { operand_type, left_operand, condition: name, right_operand })
  for (const [type, left, name, right, expected] of [
    ['int', '12', 'greater_than', 9, 0],
    ['int', 9, '>', '12', 1],
    ['str', 'One HD', 'contains', 'HD', 0],
    ['list', [1, 2], 'contains', 3, 1],
    ['list', '[1, 2]', 'equals', [1, 2], 0],
    ['dict', { a: 1, b: [2] }, 'equals', { b: [2], a: 1 }, 0],
    ['dict', {}, 'is_empty', undefined, 0],
    ['str', 'abc', 'starts_with', 'b', 1],
  ] as const) {
    const result = await condition(type, left, name, right)
    assert.equal(result.result_success, expected, `${JSON.stringify(left)} ${name}: ${String(result.message)}`)
  }
  assert.match(String((await condition('int', 'many', '>', 1)).error_msg), /"many" is no int/)
  assert.deepEqual((await block(lab, 'set_variable', { name: 'channel', value: 9 })).result_output, { channel: 9 })
  const sum = await block(lab, 'common_operation', { operation: 'add', left_operand: '40', right_operand: 2 })
  assert.deepEqual(sum.result_output, { result: 42 })
  const deep = await block(lab, 'common_operation', { operation: 'get', left_operand: { a: [{ b: 7 }] }, right_operand: 'a.0.b' })
  assert.deepEqual(deep.result_output, { result: 7 })
  assert.match(
    String((await block(lab, 'common_operation', { operation: 'divide', left_operand: 1, right_operand: 0 })).error_msg),
    /by 0/,
  )

  const site = createServer((request, response) => {
    if (request.url === '/away') return response.writeHead(302, { location: '/' }).end()
    response.writeHead(request.url === '/none' ? 404 : 200, { 'content-type': 'application/json' })
    return response.end(JSON.stringify({ method: request.method, key: request.headers['x-key'] }))
  })
  await new Promise<void>((resolve) => site.listen(0, '0.0.0.0', resolve))
  t.after(() => site.close())
  const { port } = site.address() as AddressInfo
  const own = Object.values(networkInterfaces())
    .flat()
    .find((one) => one && !one.internal && one.family === 'IPv4')
  if (own) {
    const url = `http://${own.address}:${port}`
    const answer = await block(lab, 'api_call', { url, method: 'POST', headers: { 'x-key': 'k' }, body: { a: 1 } })
    assert.deepEqual(answer.result_output, { status: 200, response: { method: 'POST', key: 'k' } })
    assert.equal((await block(lab, 'api_call', { url: `${url}/none` })).result_success, 1)
    assert.equal((await block(lab, 'api_call', { url: `${url}/none`, expected_status: 404 })).result_success, 0)
    const away = await block(lab, 'api_call', { url: `${url}/away` })
    assert.deepEqual((away.result_output as Body).status, 302, 'redirects are not followed')
  }
  for (const url of [
    `http://127.0.0.1:${port}/`,
    `http://localhost:${port}/`,
    'http://169.254.169.254/latest',
    `http://[::1]:${port}/`,
  ]) {
    assert.match(String((await block(lab, 'api_call', { url })).error_msg), /neither itself nor link-local/, url)
  }
  assert.match(String((await block(lab, 'custom_code', { code: 'print(1)' })).error_msg), /Unknown command custom_code/)
})

test('hosts.md 8.2: the shell of a host is off; switched on, it runs commands and code, and ends what runs too long', async (t) => {
  const off = await startBox(t)
  const refused = await callOf(off)('/host/desktop/bash/executeCommand', {
    command: 'execute_bash_command',
    params: { command: 'id' },
  })
  assert.deepEqual([refused.status, refused.body.code], [403, 'shell_forbidden'])

  const lab = await startBox(t, { HOST_SHELL: 'on', HOST_MODEL: 'web', API_KEY: 'a-secret-of-this-agent' })
  const browser = lab.server.registrations[0]?.devices.find((one) => one.device_id === 'host') as Body | undefined
  assert.ok(browser)
  assert.equal((browser.device_capabilities as Body).desktop, 'bash')
  assert.equal(((browser.device_action_types as Record<string, Body[]>).desktop ?? [])[0]?.command, 'execute_bash_command')
  const bash = async (command: string, more: Body = {}) =>
    (
      await lab.server.callAgent('/host/desktop/bash/executeCommand', {
        command: 'execute_bash_command',
        params: { command, ...more },
      })
    ).body
  const good = await bash('echo out; echo err >&2; pwd', { working_dir: '/tmp' })
  assert.deepEqual([good.success, good.output, good.error, good.exit_code], [true, 'out\n/tmp\n', 'err\n', 0])
  assert.ok(typeof good.execution_time === 'number')
  const bad = await bash('exit 3')
  assert.deepEqual([bad.success, bad.exit_code], [false, 3])
  assert.doesNotMatch(String((await bash('env')).output), /a-secret-of-this-agent/)
  const late = await bash('sleep 300 & sleep 300', { timeout: 1 })
  assert.match(String(late.error), /did not end within 1 s/)
  const code = await block(lab, 'custom_code', { code: 'print(6 * 7)' })
  assert.deepEqual(code.result_output, { output: '42\n', exit_code: 0 })
  assert.match(String((await block(lab, 'custom_code', { code: 'raise ValueError("no")' })).error_msg), /ValueError: no/)
  assert.equal((await callOf(lab)('/host/desktop/pyautogui/executeCommand', { command: 'execute_pyautogui_click' })).status, 501)
})

test('api-core.md 4: references are cut, filtered, freed of their ground, read and saved', async (t) => {
  const lab = await startBox(t)
  const call = callOf(lab)
  const image_source_url = String((await call('/host/av/takeScreenshot')).body.screenshot_url)
  const area = { x: 768, y: 604, width: 216, height: 76 }
  const { body: crop } = await call('/host/verification/image/cropImage', { image_source_url, area })
  assert.match(String(crop.image_cropped_url), /^\/host\/stream\/capture1\/captures\/cropped\/[\w-]+\.jpg$/)
  const filter = async (more: Body) => {
    const { body } = await call('/host/verification/image/processImage', { image_source_url: crop.image_cropped_url, ...more })
    assert.equal(body.success, true, String(body.error))
    return Buffer.from(await (await fetch(`${lab.url}${String(body.image_filtered_url)}`)).arrayBuffer())
  }
  const levels = await sharp(await filter({ image_filter: 'binary' }))
    .grayscale()
    .raw()
    .toBuffer()
  assert.ok(levels.filter((one) => one > 40 && one < 215).length < levels.length / 20, 'black and white, but for edges of JPEG')
  const { channels } = await sharp(await filter({ image_filter: 'greyscale' })).stats()
  assert.ok(Math.max(...channels.map((one) => one.mean)) - Math.min(...channels.map((one) => one.mean)) < 2)
  const cleared = await sharp(await filter({ remove_background: true }))
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  const alpha = (x: number, y: number) => cleared.data[(y * cleared.info.width + x) * 4 + 3]
  assert.equal(alpha(0, 0), 0, 'the ground around the tile is gone')
  assert.equal(alpha(108, 38), 255, 'what lies inside of the tile stays')

  const text = { reference_name: 'title', userinterface_name: 'box', area: { x: 1004, y: 604, width: 216, height: 76 } }
  const saved = await call('/host/verification/text/saveText', { ...text, text: 'Settings' })
  assert.deepEqual(saved.body.text_data, { text: 'Settings', ...text.area })
  const check = async (params: Body) =>
    (
      await call('/host/verification/text/execute', {
        verification: { command: 'waitForTextToAppear', params },
        userinterface_name: 'box',
      })
    ).body
  const kinds = lab.server.registrations[0]?.devices[0]?.device_verification_types ?? {}
  if (!Object.hasOwn(kinds, 'text')) return t.skip('Tesseract is not installed on this machine')
  const read = await call('/host/verification/text/detectText', { image_source_url, area: text.area, image_filter: 'greyscale' })
  assert.match(String(read.body.extracted_text), /Settings/)
  assert.equal((await check({ text: 'Settings', reference_name: 'title' })).success, true)
  assert.equal((await check({ text: 'On now', reference_name: 'title' })).success, false, 'only its area is read')
  // An area that may lie elsewhere: the larger one counts.
  const fuzzy = { x: 0, y: 0, width: 10, height: 10, fx: 960, fy: 560, fwidth: 320, fheight: 160 }
  assert.equal((await check({ text: 'Settings', area: fuzzy })).success, true)
})

test('hosts.md 12.2: a change of channel and the last looks of the monitor are judged while nobody watches', async (t) => {
  const lab = await startBox(t)
  const call = callOf(lab)
  const key = (name: string) => call('/host/remote/executeCommand', { command: 'press_key', params: { key: name } })
  const check = async (kind: string, command: string, params: Body = {}) =>
    (await call(`/host/verification/${kind}/execute`, { verification: { command, params } })).body
  assert.equal((await check('video', 'DetectMotionFromJson', { json_count: 2 })).success, false, 'home stands still')
  await key('OK')
  const zap = await check('video', 'DetectZapping', { key: 'CHANNEL_UP' })
  assert.equal(zap.success, true, String(zap.message))
  assert.ok(Number((zap.output_data as Body).blackscreen_duration) > 0)
  const motion = await check('video', 'DetectMotionFromJson', { json_count: 3 })
  assert.deepEqual([motion.success, (motion.output_data as Body).total_count], [true, 3], String(motion.message))
  assert.equal((await check('audio', 'DetectAudioFromJson', { json_count: 2 })).success, true)
  await key('VOLUME_MUTE')
  assert.equal((await check('audio', 'DetectAudioFromJson', { json_count: 2, strict_mode: true })).success, false)
})
