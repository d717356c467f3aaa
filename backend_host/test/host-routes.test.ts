import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createDriver, findChromium } from '../src/drivers/index.ts'
import { type LabWithAgent, startLabWithAgent, until } from './start-agent.ts'

/** The routes of the protocol on real drivers: a simulated box, and a browser where one is installed. */
const startBox = (t: TestContext, env: Record<string, string> = {}) =>
  startLabWithAgent(t, env, ({ driver }) => createDriver(driver, { seed: 3 }))

type Body = Record<string, unknown>

async function get(lab: LabWithAgent, path: string): Promise<{ status: number; body: Body }> {
  const key = lab.server.registrations[0]?.call_key ?? ''
  const response = await fetch(`${lab.url}${path}`, { headers: { 'x-api-key': key } })
  return { status: response.status, body: (await response.json()) as Body }
}

async function finished(lab: LabWithAgent, kind: string, start: { status: number; body: Body }): Promise<Body> {
  assert.equal(start.status, 200, JSON.stringify(start.body))
  assert.deepEqual(Object.keys(start.body).sort(), ['execution_id', 'message', 'success'])
  let status: Body = {}
  await until('the batch ends', async () => {
    status = (await get(lab, `/host/${kind}/execution/${String(start.body.execution_id)}/status?device_id=device1`)).body
    return status.status !== 'running'
  })
  return status
}

test('S: remote, power and pictures of a box have the shapes of the protocol', async (t) => {
  const lab = await startBox(t)
  const call = (path: string, body: Body = {}) => lab.server.callAgent(path, { device_id: 'device1', ...body })
  assert.deepEqual((await call('/host/takeControl')).body.available_controllers, ['av', 'remote'])
  const both = await call('/host/remote/screenshotAndDump')
  assert.equal(both.status, 200)
  assert.match(String(both.body.screenshot), /^iVBOR/)
  const elements = both.body.elements as { text: string; bounds: { left: number } }[]
  assert.ok(elements.some((element) => element.text === 'Watch now'))
  assert.deepEqual((await call('/host/remote/dumpUi')).body.elements, elements)
  const apps = await call('/host/remote/getApps')
  assert.deepEqual((apps.body.apps as Body[])[0], { packageName: 'demo.streamly', label: 'Streamly' })
  const tap = await call('/host/remote/tapCoordinates', { x: 1, y: 1 })
  assert.deepEqual([tap.status, tap.body.success, tap.body.code], [500, false, 'host_error'])
  assert.deepEqual((await call('/host/power/getStatus')).body.status, 'on')
  assert.equal((await call('/host/power/executeCommand', { command: 'power_off' })).body.success, true)
  assert.deepEqual((await call('/host/power/getStatus')).body.status, 'off')
  await call('/host/power/executeCommand', { command: 'power_on' })
  const saved = await call('/host/av/saveScreenshot', { filename: 'home', userinterface_name: 'box/1' })
  assert.equal(saved.body.screenshot_url, '/host/stream/capture1/captures/references/navigation_box_1_home.jpg')
  assert.equal((await fetch(`${lab.url}${String(saved.body.screenshot_url)}`)).status, 200)
})

test('S: media are served with ranges, validators and CORS, and nothing outside of them', async (t) => {
  const lab = await startBox(t)
  const { body } = await lab.server.callAgent('/host/av/takeScreenshot', { device_id: 'device1' })
  const url = `${lab.url}${String(body.screenshot_url)}`
  const whole = await fetch(url)
  const bytes = Buffer.from(await whole.arrayBuffer())
  assert.equal(whole.headers.get('accept-ranges'), 'bytes')
  const part = await fetch(url, { headers: { range: 'bytes=10-19' } })
  assert.equal(part.status, 206)
  assert.equal(part.headers.get('content-range'), `bytes 10-19/${bytes.length}`)
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(10, 20))
  const tail = await fetch(url, { headers: { range: 'bytes=-5' } })
  assert.deepEqual(Buffer.from(await tail.arrayBuffer()), bytes.subarray(-5))
  assert.equal((await fetch(url, { headers: { range: 'bytes=99999999-' } })).status, 416)
  const tag = whole.headers.get('etag') ?? ''
  assert.equal((await fetch(url, { headers: { 'if-none-match': tag } })).status, 304)
  const head = await fetch(url, { method: 'HEAD' })
  assert.equal(head.headers.get('content-length'), String(bytes.length))
  assert.equal((await fetch(url, { method: 'OPTIONS' })).headers.get('access-control-allow-origin'), '*')
  for (const path of [
    '/host/stream/capture1/captures/..%2f..%2f..%2fstate%2ffences.json',
    '/host/stream/capture1/state/fences.json',
    '/host/stream/capture1/captures/.hidden',
    '/host/stream/capture9/captures/verification_source.jpg',
    '/host/stream/capture1/captures/verification_source.jpg%00.png',
  ]) {
    assert.ok([400, 404].includes((await fetch(`${lab.url}${path}`)).status), path)
  }
})

test('S: a batch of actions retries, runs failure actions, waits and tells each step', async (t) => {
  const lab = await startBox(t)
  const start = (body: Body) => lab.server.callAgent('/host/action/executeBatch?team_id=x', { device_id: 'device1', ...body })
  const key = (name: string, more: Body = {}) => ({ command: 'press_key', action_type: 'remote', params: { key: name }, ...more })
  const good = await finished(
    lab,
    'action',
    await start({
      actions: [key('OK', { iterator: 2 }), key('MENU', { params: { key: 'MENU', wait_time: 50 } }), { command: '' }],
    }),
  )
  assert.equal(good.status, 'completed')
  const result = good.result as Body
  assert.deepEqual([result.success, result.total_count, result.passed_count, result.failed_count], [true, 2, 2, 0])
  const [first] = result.results as Body[]
  assert.deepEqual(
    [first?.resultType, first?.action_category, (first?.iterations as unknown[] | undefined)?.length],
    ['PASS', 'main', 2],
  )
  assert.match(String(first?.screenshot_path), /^\/host\/stream\/capture1\/captures\/verification_results\//)
  assert.equal((await fetch(`${lab.url}${String(result.before_action_screenshot)}`)).headers.get('content-type'), 'image/jpeg')

  const retried = await finished(
    lab,
    'action',
    await start({ actions: [key('NOPE'), key('OK')], retry_actions: [key('HOME')], failure_actions: [key('BACK')] }),
  )
  const after = retried.result as Body
  assert.deepEqual([after.success, after.main_actions_succeeded], [true, false])
  assert.deepEqual(
    (after.results as Body[]).map((one) => one.action_category),
    ['main', 'retry'],
  )

  const failed = await finished(lab, 'action', await start({ actions: [key('NOPE')], failure_actions: [key('BACK')] }))
  assert.deepEqual([failed.status, failed.outcome, (failed.result as Body).success], ['completed', 'failed', false])
  assert.deepEqual(
    (failed.result as { results: Body[] }).results.map((one) => one.action_category),
    ['main', 'failure'],
  )
  assert.match(String(failed.error), /key must be one of/)

  const typed = await finished(
    lab,
    'action',
    await start({
      actions: [{ command: 'launch_app', params: { package: '' }, requiresInput: true, inputValue: 'demo.tunewave' }],
    }),
  )
  assert.equal((typed.result as Body).success, true)
  // The server names its work, so that a start whose answer was lost is not a second one.
  const execution_id = crypto.randomUUID()
  const twice = await Promise.all([start({ actions: [key('OK')], execution_id }), start({ actions: [key('OK')], execution_id })])
  assert.deepEqual([...new Set(twice.map((one) => one.body.execution_id))], [execution_id])
  const unknown = await get(lab, '/host/action/execution/nothing/status')
  assert.deepEqual([unknown.status, unknown.body.success], [404, false])
})

test('S: a batch can be cancelled, and a newer lease ends what runs under an older one', async (t) => {
  const lab = await startBox(t)
  const long = { device_id: 'device1', actions: [{ command: 'sleep', action_type: 'standard_block', params: { duration: 50 } }] }
  const cancelled = await lab.server.callAgent('/host/action/executeBatch', long)
  const id = String(cancelled.body.execution_id)
  assert.equal((await lab.server.callAgent(`/host/action/execution/${id}/cancel`, {})).body.cancelled, true)
  assert.equal((await finished(lab, 'action', cancelled)).outcome, 'cancelled')
  const old = await lab.server.callAgent('/host/action/executeBatch', { ...long, token: 4 })
  await lab.server.callAgent('/host/takeControl', { device_id: 'device1', token: 5 })
  assert.equal((await finished(lab, 'action', old)).outcome, 'cancelled')
  assert.equal((await lab.server.callAgent('/host/action/executeBatch', { ...long, token: 4 })).body.code, 'stale_token')
})

test('S: a check of somebody who has not the device keeps nobody from working on it', async (t) => {
  const lab = await startBox(t)
  const call = (path: string, body: Body) => lab.server.callAgent(path, { device_id: 'device1', token: 4, ...body })
  const check = {
    command: 'WaitForAudioToAppear',
    verification_type: 'audio',
    userinterface_name: 'tv',
    params: { duration: 50 },
  }
  const looking = await call('/host/verification/executeBatch', { verifications: [check], beside: true })
  const id = String(looking.body.execution_id)
  const pressed = await call('/host/action/executeBatch', { actions: [{ command: 'press_key', params: { key: 'DOWN' } }] })
  assert.equal((await finished(lab, 'action', pressed)).outcome, 'passed')
  assert.equal((await get(lab, `/host/verification/execution/${id}/status`)).body.status, 'running')
  await lab.server.callAgent('/host/takeControl', { device_id: 'device1', token: 5 })
  assert.equal((await finished(lab, 'verification', looking)).outcome, 'cancelled', 'it ends as other work does')
})

test('S: references are cut, saved and found again; checks give evidence', async (t) => {
  const lab = await startBox(t)
  const call = (path: string, body: Body = {}) => lab.server.callAgent(path, { device_id: 'device1', ...body })
  const image_source_url = String((await call('/host/av/takeScreenshot')).body.screenshot_url)
  const area = { x: 768, y: 604, width: 216, height: 76 }
  const crop = await call('/host/verification/image/cropImage', {
    image_source_url: `http://lab.example${image_source_url}`,
    area,
  })
  assert.equal(crop.body.success, true, String(crop.body.error))
  const saved = await call('/host/verification/image/saveImage', {
    image_source_url: crop.body.image_cropped_url,
    reference_name: 'search',
    userinterface_name: 'box',
    area,
  })
  assert.equal(saved.body.success, true, String(saved.body.error))
  const execute = (command: string, params: Body, more: Body = {}) =>
    call('/host/verification/image/execute', { verification: { command, params }, userinterface_name: 'box', ...more })
  const found = await execute('waitForImageToAppear', { image_path: 'search', reference_name: 'search', timeout: 0 })
  assert.deepEqual(
    [found.status, found.body.success, found.body.resultType, found.body.verification_type],
    [200, true, 'PASS', 'image'],
  )
  assert.deepEqual(found.body.match, area)
  assert.ok(Number(found.body.matchingResult) > 0.95)
  for (const field of ['sourceUrl', 'referenceUrl', 'overlayUrl']) {
    const picture = await fetch(`${lab.url}${String(found.body[field])}`)
    assert.equal(picture.headers.get('content-type'), 'image/jpeg', field)
  }
  assert.match(String((await execute('waitForImageToAppear', { image_path: 'none' })).body.error), /no reference none/)
  assert.match(String((await execute('waitForImageToAppear', { image_path: '../../state/fences' })).body.error), /no reference/)
  const foreign = await execute(
    'waitForImageToAppear',
    { image_path: 'search' },
    { image_source_url: 'http://169.254.169.254/latest' },
  )
  assert.match(String(foreign.body.error), /not among those of this host/)

  const batch = (verifications: Body[]) =>
    lab.server.callAgent('/host/verification/executeBatch?team_id=x', { device_id: 'device1', verifications })
  const image = {
    command: 'waitForImageToAppear',
    verification_type: 'image',
    params: { image_path: 'search' },
    userinterface_name: 'box',
  }
  const standstill = { command: 'DetectFreeze', verification_type: 'video', params: {} }
  const motion = { command: 'DetectMotion', verification_type: 'video', params: { duration: 0.5 } }
  const dropped = { command: 'waitForImageToAppear', verification_type: 'image', params: {} }
  const passed = await finished(lab, 'verification', await batch([image, standstill, dropped]))
  assert.deepEqual([passed.status, (passed.result as Body).passed_count], ['completed', 2])
  const failed = await finished(lab, 'verification', await batch([image, motion]))
  assert.deepEqual([failed.status, failed.progress, (failed.result as Body).success], ['error', 100, false])
  const [one] = (failed.result as { results: Body[] }).results
  for (const field of ['sourceImageUrl', 'referenceImageUrl', 'resultOverlayUrl', 'screenshot_path'])
    assert.match(String(one?.[field]), /^\/host\/stream\//)
  const any = await finished(lab, 'verification', await batch([{ ...image, verification_pass_condition: 'any' }, motion]))
  assert.equal(any.status, 'completed')
  assert.equal((await batch([motion])).status, 400)
  assert.deepEqual((await get(lab, '/host/verification/execution/none/status')).status, 200)
})

test('S: blocks are listed and run', async (t) => {
  const lab = await startBox(t)
  const { body } = await get(lab, '/host/builder/blocks')
  assert.deepEqual(
    (body.blocks as { command: string }[]).map((block) => block.command),
    ['sleep', 'get_current_time', 'evaluate_condition', 'set_variable', 'common_operation', 'api_call'],
  )
  const run = await finished(
    lab,
    'builder',
    await lab.server.callAgent('/host/builder/execute', {
      device_id: 'device1',
      command: 'get_current_time',
      params: { format: 'date' },
    }),
  )
  const [block] = (run.result as { results: Body[] }).results
  assert.deepEqual([block?.result_success, block?.result_output], [0, { current_time: new Date().toISOString().slice(0, 10) }])
})

test('S: every definition that is registered works: checks and actions of the box by their own examples', async (t) => {
  const lab = await startBox(t)
  const device = lab.server.registrations[0]?.devices[0] as unknown as {
    device_verification_types: Record<string, { command: string; verification_type: string }[]>
    video_stream_path: string
  }
  assert.equal(device.video_stream_path, '/host/stream/capture1')
  const kinds = Object.keys(device.device_verification_types)
  for (const kind of ['image', 'video', 'audio']) assert.ok(kinds.includes(kind), kind)
  const screenshot = await lab.server.callAgent('/host/av/takeScreenshot', { device_id: 'device1' })
  const examples: Record<string, Body> = {
    image: { image_path: screenshot.body.screenshot_url, timeout: 1 },
    text: { text: 'On now', timeout: 1 },
    video: { duration: 0.3, timeout: 0.3, max_images: 1, json_count: 1 },
    audio: { duration: 0.3, json_count: 1 },
  }
  for (const [kind, checks] of Object.entries(device.device_verification_types)) {
    for (const { command } of checks) {
      const verification = { command, params: examples[kind] }
      const { status, body } = await lab.server.callAgent(`/host/verification/${kind}/execute`, {
        device_id: 'device1',
        verification,
      })
      assert.equal(status, 200, command)
      // A verdict, whichever: what is advertised never says that it is unknown, lacks something or fails inside.
      assert.doesNotMatch(String(body.message), /Unknown|missing|has no|not installed|:.*Error/, `${kind} ${command}`)
      assert.ok(body.resultType === 'PASS' || body.resultType === 'FAIL')
    }
  }
})

test('S: the browser has its routes, and asking for its status or page does not start it', async (t) => {
  if (!findChromium()) return t.skip('no Chromium is installed on this machine')
  const lab = await startBox(t, { HOST_MODEL: 'web' })
  const call = (path: string, body: Body = {}) => lab.server.callAgent(path, body)
  assert.equal((await call('/host/web/getPageInfo')).body.success, false)
  assert.equal(((await call('/host/web/getStatus')).body.status as Body).connected, false)
  assert.equal((await call('/host/web/openBrowser')).body.connected, true)
  assert.equal(
    (await call('/host/web/navigateToUrl', { url: 'data:text/html,<title>T</title><button>Go</button>' })).body.success,
    true,
  )
  assert.equal((await call('/host/web/getPageInfo')).body.title, 'T')
  assert.equal(((await call('/host/web/getStatus')).body.status as Body).connected, true)
  const check = (search_term: string) =>
    call('/host/verification/web/execute', {
      verification: { command: 'waitForElementToAppear', params: { search_term, timeout: 0 } },
    })
  assert.deepEqual([(await check('Go')).body.success, (await check('Stop')).body.success], [true, false])
  assert.equal((await call('/host/web/closeBrowser')).body.connected, false)
  assert.deepEqual((await call('/host/web/getStatus')).body.status, { connected: false })
})
