// The whole way from a person's call to an Android device: server, agent, ADB over TCP. The device is a program that speaks
// ADB as a device does; ANDROID_DEVICE=192.168.1.50:5555 takes a real one instead, which must allow debugging by the agent.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { programEnv } from '../program-env.ts'
import { type Lab, startLab, until } from '../start-lab.ts'

type Body = Record<string, unknown>
interface Element {
  id: string
  text: string
  bounds: { left: number; top: number; right: number; bottom: number }
}

const agentMain = fileURLToPath(new URL('../../../backend_host/src/main.ts', import.meta.url))
const deviceMain = fileURLToPath(new URL('../../../backend_host/test/fakes/android/main.ts', import.meta.url))
const target = { host_name: 'android-host', device_id: 'device1' }
const real = process.env.ANDROID_DEVICE

function startProgram(
  t: TestContext,
  main: string,
  args: string[],
  env: NodeJS.ProcessEnv,
): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, ['-C', 'source', main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk) => (output += String(chunk)))
  child.stderr.on('data', (chunk) => (output += String(chunk)))
  t.after(() => end(child))
  return { child, output: () => output }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

async function startDevice(t: TestContext, port = '0'): Promise<{ child: ChildProcess; port: string }> {
  const { child, output } = startProgram(t, deviceMain, [port], programEnv())
  const found = await until('the device listens', () => /on 127\.0\.0\.1:(\d+)/.exec(output())?.[1])
  return { child, port: found }
}

async function startAgent(t: TestContext, lab: Lab, address: string[]): Promise<() => string> {
  const dataDir = process.env.ANDROID_KEY_FOLDER ?? (await mkdtemp(path.join(tmpdir(), 'vpt-android-')))
  const { child, output } = startProgram(t, agentMain, [], {
    ...programEnv(),
    SERVER_URL: lab.url,
    HOST_NAME: target.host_name,
    HOST_PORT: '0',
    LINK: 'off',
    DATA_DIR: dataDir,
    DEVICE1_NAME: 'Phone',
    DEVICE1_MODEL: 'android_mobile',
    DEVICE1_IP: address[0],
    DEVICE1_PORT: address[1],
  })
  if (!process.env.ANDROID_KEY_FOLDER)
    t.after(async () => {
      await end(child)
      await rm(dataDir, { recursive: true, force: true, maxRetries: 3 })
    })
  await until('the agent is there', async () => {
    if (child.exitCode !== null) throw new Error(`the agent ended:\n${output()}`)
    const { hosts } = (await lab.get<{ hosts: Body[] }>('/server/system/getAllHosts')).body
    return hosts.some((host) => host.host_name === target.host_name && host.status === 'online')
  })
  return output
}

test('S: a person takes an Android device, presses, looks, reads, checks and lets go', { timeout: 170_000 }, async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const device = real === undefined ? await startDevice(t) : null
  const output = await startAgent(t, lab, device ? ['127.0.0.1', device.port] : (real?.split(':') ?? []))
  const post = async <B = Body>(route: string, body: Body = {}): Promise<B> => {
    const answer = await lab.post<B & { success?: boolean }>(`/server/${route}`, { ...target, ...body })
    assert.equal(answer.status, 200, `${route}: ${answer.text.slice(0, 500)}`)
    assert.equal(answer.body.success, true, `${route}: ${answer.text.slice(0, 500)}`)
    return answer.body
  }
  const press = (key: string) => post('remote/executeCommand', { command: 'press_key', params: { key } })
  const elements = async (): Promise<Element[]> => (await post<{ elements: Element[] }>('remote/dumpUi')).elements

  await t.test('it is registered with what it offers, and taken', async () => {
    const { hosts } = (await lab.get<{ hosts: { devices: Body[] }[] }>('/server/system/getAllHosts?include_actions=true')).body
    const listed = hosts[0]?.devices[0] ?? {}
    assert.deepEqual([listed.device_model, (listed.device_capabilities as Body).remote], ['android_mobile', 'android_mobile'])
    assert.ok('adb' in (listed.device_verification_types as Body) && 'Remote' in (listed.device_action_types as Body))
    const taken = await post('control/takeControl')
    assert.equal(taken.warning ?? null, null)
  })

  await t.test('keys, a picture, the elements, the apps', async () => {
    await press('WAKEUP')
    await press('HOME')
    const { screenshot } = await post<{ screenshot: string }>('remote/takeScreenshot')
    assert.deepEqual([...Buffer.from(screenshot, 'base64').subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47])
    assert.ok((await elements()).some((element) => element.text !== ''))
    assert.ok((await post<{ apps: Body[] }>('remote/getApps')).apps.length > 0)
  })

  const check = async (verification: Body): Promise<Body> => {
    const body = { ...target, verifications: [{ verification_type: 'adb', userinterface_name: 'ui', ...verification }] }
    const { execution_id } = (await lab.post('/server/verification/executeBatch', body)).body
    return until('the check ends', async () => {
      const route = `/server/verification/execution/${String(execution_id)}/status?host_name=${target.host_name}`
      const { body: status } = await lab.get(route)
      return status.status === 'running' ? undefined : status
    })
  }
  await t.test('checks say what is on the screen and what is not', async () => {
    const named = (await elements()).find((element) => element.text !== '')?.text
    const appears = { command: 'waitForElementToAppear', params: { search_term: named, timeout: 5 } }
    const there = await check(appears)
    assert.equal(there.outcome, 'passed', JSON.stringify(there))
    const missed = await check({ ...appears, params: { search_term: 'no such words anywhere' } })
    assert.equal(missed.outcome, 'failed', JSON.stringify(missed))
    const gone = await check({ command: 'waitForElementToDisappear', params: { search_term: 'no such words anywhere' } })
    assert.equal(gone.outcome, 'passed', JSON.stringify(gone))
  })

  if (device) {
    await t.test('a tap on an element opens what it says', async () => {
      const found = (await elements()).find((element) => element.text === 'Watch now')
      assert.ok(found)
      const { left, top, right, bottom } = found.bounds
      await post('remote/tapCoordinates', { x: (left + right) / 2, y: (top + bottom) / 2 })
      const opened = await check({ command: 'waitForElementToAppear', params: { search_term: 'Stopped', timeout: 5 } })
      assert.equal(opened.outcome, 'passed', JSON.stringify(opened))
    })

    await t.test('U: a device that is away is named as that, and works again when it is back', async () => {
      await end(device.child)
      const away = await lab.post('/server/remote/executeCommand', { ...target, command: 'press_key', params: { key: 'HOME' } })
      assert.deepEqual([away.status, away.body.success], [200, false], away.text)
      const second = await lab.post('/server/remote/dumpUi', target)
      assert.equal(second.status, 400, second.text)
      assert.match(second.text, /cannot be reached: it refuses the connection/)
      const taken = await post('control/takeControl')
      assert.match(String(taken.warning), /could not be opened: .* cannot be reached/)
      await startDevice(t, device.port)
      await press('HOME')
      assert.ok((await elements()).some((element) => element.text === 'Watch now'))
    })
  }

  await t.test('and lets go; the key of the agent is in no log line', async () => {
    await post('control/releaseControl')
    const { body } = await lab.post('/server/control/checkLock', target)
    assert.equal(body.is_locked, false)
    assert.doesNotMatch(output(), /PRIVATE KEY/)
  })
})
