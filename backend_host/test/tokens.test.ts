import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildAgent } from '../src/app.ts'
import { readConfig } from '../src/config.ts'
import { createFakeDriver } from './fakes/fake-driver.ts'
import { agentEnv, type LabWithAgent, startLabWithAgent, until } from './start-agent.ts'

/** Tells its run key and address, then waits: the test calls the run API in its place. */
const tellKey = `console.log(JSON.stringify({ url: process.env.VPT_AGENT_URL, key: process.env.VPT_RUN_KEY, token: process.env.VPT_LEASE_TOKEN }))
setInterval(() => undefined, 1000)
`
const runCalls = [
  ['/run/steps', { name: 'late' }],
  ['/run/steps/1/finish', { outcome: 'passed' }],
  ['/run/command', { command: 'press_key', params: { key: 'OK' } }],
  ['/run/screenshot', { name: 'late' }],
  ['/run/screen', {}],
  ['/run/measure', { name: 'late', value: 1, unit: 'ms' }],
] as const

async function startTellKey(lab: LabWithAgent, token: number) {
  await lab.script('key.mjs', tellKey)
  const order = lab.order('key.mjs', { token })
  assert.equal((await lab.server.dispatch(order)).status, 202)
  const run = lab.server.run(order.run_id)
  await until('the script told its key', () => run.lines.length > 0)
  const { url, key } = JSON.parse(run.lines[0] ?? '') as { url: string; key: string }
  const call = async (path: string, body: unknown, bearer = key): Promise<{ status: number; code: unknown }> => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${bearer}` }
    const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    const isJson = response.headers.get('content-type')?.includes('json')
    const { code } = isJson
      ? ((await response.json()) as { code?: unknown })
      : { code: (await response.arrayBuffer()) && undefined }
    return { status: response.status, code }
  }
  return { order, run, call }
}

test('N3: after a newer lease of the device every call of the older run is refused and nothing reaches the device', async (t) => {
  const lab = await startLabWithAgent(t)
  const { order, call } = await startTellKey(lab, 7)
  assert.equal((await call('/run/steps', { name: 'in time' })).status, 201)
  assert.equal((await call('/run/command', { command: 'press_key', params: {} })).status, 200)
  const waiting = call('/run/command', { command: 'wait' })
  await until('the long command has begun', () => lab.drivers.device1?.commands.length === 2)

  const taken = await lab.server.callAgent('/host/takeControl', { device_id: 'device1', token: 8 })
  assert.equal(taken.status, 200)
  assert.deepEqual(await waiting, { status: 409, code: 'stale_token' }, 'a command under way is cut short')
  for (const [path, body] of runCalls) assert.deepEqual(await call(path, body), { status: 409, code: 'stale_token' }, path)
  assert.equal(lab.drivers.device1?.commands.length, 2)

  // The run ends; what the server makes of its result is its decision.
  await until('the older run was ended', () => lab.server.run(order.run_id).results.length === 1)
  assert.equal(lab.server.run(order.run_id).results[0]?.result?.error_code, 'lease_lost')
  for (const [path, body] of runCalls) assert.equal((await call(path, body)).code, 'stale_token', `${path} after the end`)
  const again = await lab.server.dispatch({ ...order, token: 7 })
  assert.equal(again.body.code, 'stale_token')
})

test('N3: every call with an older token is refused, also after a restart of the agent', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('pass.sh', 'exit 0\n')
  const newest = lab.order('pass.sh', { token: 20 })
  await lab.server.dispatch(newest)
  await until('it has ended', () => lab.server.run(newest.run_id).results.length === 1)

  const calls: [string, Record<string, unknown>][] = [
    ['/host/takeControl', { device_id: 'device1' }],
    ['/host/remote/executeCommand', { device_id: 'device1', command: 'press_key', params: {} }],
    ['/host/remote/takeScreenshot', { device_id: 'device1' }],
    ['/host/av/takeScreenshot', { device_id: 'device1' }],
    ['/host/script/execute', lab.order('pass.sh')],
  ]
  const expectRefused = async (): Promise<void> => {
    for (const [path, body] of calls) {
      const { status, body: answer } = await lab.server.callAgent(path, { ...body, token: 19 })
      assert.deepEqual([status, answer.code], [409, 'stale_token'], path)
    }
  }
  await expectRefused()
  await lab.agent.close()
  const next = await buildAgent({
    config: readConfig({ ...process.env, ...agentEnv(lab) }),
    node: { execPath: process.execPath, args: [] },
    createDriver: () => createFakeDriver(),
    logStream: { write: () => undefined },
  })
  t.after(() => next.close())
  const registered = lab.server.registrations.length
  await next.start()
  await until('the next life has registered', () => lab.server.registrations.length > registered)
  await expectRefused()
  assert.equal((await lab.server.dispatch(newest)).status, 202, 'the same order is known')
  assert.equal(lab.server.run(newest.run_id).results.length, 1, 'and not run again')
})

test('a run that comes back with a higher token is a new attempt; the older one is ended first', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('token.sh', 'echo token $VPT_LEASE_TOKEN; if [ $VPT_LEASE_TOKEN = 1 ]; then sleep 60; fi\n')
  const first = lab.order('token.sh', { token: 1 })
  await lab.server.dispatch(first)
  await until('the first attempt runs', () => lab.server.run(first.run_id).lines.includes('token 1'))
  const second = { ...first, token: 2 }
  const run = lab.server.know(second)
  await lab.server.dispatch(second)
  await until('the second attempt has ended', () => run.results.length === 1)
  assert.deepEqual(run.lines, ['token 2'])
  assert.equal(run.results[0]?.token, 2)
  assert.equal(run.results[0]?.result?.outcome, 'passed')
})

test('the run API needs the key of the run, and checks what it is sent', async (t) => {
  const lab = await startLabWithAgent(t)
  const { call } = await startTellKey(lab, 1)
  for (const [path, body] of runCalls) {
    assert.deepEqual(await call(path, body, '0'.repeat(64)), { status: 401, code: 'unauthorized' }, path)
    assert.deepEqual(await call(path, body, ''), { status: 401, code: 'unauthorized' }, path)
  }
  const bad: [string, unknown, number][] = [
    ['/run/steps', {}, 400],
    ['/run/steps', { name: 5 }, 400],
    ['/run/steps/9/finish', { outcome: 'passed' }, 404],
    ['/run/steps/x/finish', { outcome: 'passed' }, 400],
    ['/run/command', { params: {} }, 400],
    ['/run/measure', { name: 'a', value: 'b' }, 400],
    ['/run/nothing', {}, 404],
  ]
  for (const [path, body, status] of bad) assert.equal((await call(path, body)).status, status, `${path} ${JSON.stringify(body)}`)
  // Texts that a database cannot store are made storable on the way.
  assert.equal((await call('/run/steps', { name: 'nul \0 and half \ud800' })).status, 201)
  assert.equal((await call('/run/steps/1/finish', { outcome: 'passed' })).status, 200)
  assert.equal((await call('/run/steps/1/finish', { outcome: 'failed' })).status, 409, 'a step ends once')
})

test('a device that gives no picture costs the picture, not the step', async (t) => {
  const lab = await startLabWithAgent(t)
  const { run, call } = await startTellKey(lab, 1)
  const driver = lab.drivers.device1
  assert.ok(driver)
  driver.pictureError = new Error('no signal')
  await call('/run/steps', { name: 'blind' })
  assert.equal((await call('/run/steps/1/finish', { outcome: 'failed', message: 'saw nothing' })).status, 200)
  await until('the step arrived', () => run.steps.get(1)?.outcome === 'failed')
  assert.deepEqual(run.steps.get(1)?.details, { screenshot_error: 'no signal' })
  assert.equal((await call('/run/screenshot', {})).status, 502)
})
