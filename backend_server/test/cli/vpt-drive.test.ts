import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { dialLink, registerNatHost } from '../links/dial-link.ts'
import { startLab } from '../start-lab.ts'
import { type VptResult, vpt } from './run-vpt.ts'

// Each command is a process that takes a second to start: one for each kind of call, none twice.

const apiKey = 'shared-key-of-this-lab'
const box = 'lab-1:device1'
const browser = 'lab-1:host'

async function startTerminals(t: TestContext) {
  const lab = await startLab(t, {
    env: { AUTH_MODE: 'required', API_KEY: apiKey },
    host: { apiKey, browser: true, batchMs: 50, beatMs: 60_000 },
  })
  const terminal = async (name: string) => {
    const env = { VPT_SERVER: lab.url, VPT_TOKEN: (await lab.addToken(name, 'tester')).token }
    return (...args: string[]): Promise<VptResult> => vpt(t, args, env)
  }
  const [host] = lab.hosts
  assert.ok(host)
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-drive-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return { ann: await terminal('Ann'), bob: await terminal('Bob'), host, folder }
}

const good = (result: VptResult): string => {
  assert.deepEqual([result.code, result.stderr], [0, ''], result.stdout)
  return result.stdout
}

test('take, press, type, tap, launch, power, screenshot, verify, release: a device is driven from a terminal', async (t) => {
  const { ann, bob, host, folder } = await startTerminals(t)
  const asked = (where: string) => {
    const { command, params } = host.calls.last(`/host/${where}`).body
    return [command, params]
  }
  good(await ann('take', box, '--detach'))

  await t.test('keys go one by one', async () => {
    const before = host.calls.seen.length
    assert.equal(good(await ann('press', box, 'down', 'OK')), 'done\ndone\n')
    assert.deepEqual(
      host.calls.seen.slice(before).map(({ path: to, body }) => [to, body.command, body.params]),
      [
        ['/host/remote/executeCommand', 'press_key', { key: 'DOWN' }],
        ['/host/remote/executeCommand', 'press_key', { key: 'OK' }],
      ],
    )
  })

  await t.test('text into a browser, taps, apps, pages and power', async () => {
    good(await ann('type', browser, 'Ada', '--into', '#name'))
    assert.deepEqual(asked('web/executeCommand'), ['input_text', { text: 'Ada', selector: '#name' }])
    good(await ann('tap', box, '640', '360'))
    assert.deepEqual(
      [host.calls.last('/host/remote/tapCoordinates').body.x, host.calls.last('/host/remote/tapCoordinates').body.y],
      [640, 360],
    )
    good(await ann('launch', box, 'demo.streamly'))
    assert.deepEqual(asked('remote/executeCommand'), ['launch_app', { package: 'demo.streamly' }])
    good(await ann('open', browser, 'https://example.org'))
    assert.equal(host.calls.last('/host/web/navigateToUrl').body.url, 'https://example.org')
    assert.equal(good(await ann('power', box, 'status')), 'on\n')
  })

  await t.test('what the device will not do is exit code 1 with its reason', async () => {
    host.calls.override = ({ path: to }) =>
      to === '/host/remote/executeCommand' ? { status: 200, body: { success: false, message: 'There is no key X' } } : undefined
    const result = await ann('press', box, 'X', 'OK')
    assert.equal(result.code, 1)
    assert.match(result.stderr, /There is no key X/)
    host.calls.override = undefined
  })

  await t.test('a picture is fetched through the server', async () => {
    const file = path.join(folder, 'home.jpg')
    assert.equal(good(await ann('screenshot', box, '-o', file)), `${file}\n`)
    assert.match(await readFile(file, 'utf8'), /of a picture/)
  })

  await t.test('a check: its words for the host, and its verdict as exit code', async () => {
    const area = ['--area', '1,2,30,40']
    const options = ['--gone', '--ui', 'tv', '--threshold', '90', '--timeout', '3', ...area]
    assert.match(good(await ann('verify', box, 'image', 'logo', ...options)), /^passed {2}found$/m)
    assert.deepEqual((host.calls.last('/host/verification/executeBatch').body.verifications as unknown[])[0], {
      command: 'waitForImageToDisappear',
      verification_type: 'image',
      params: { image_path: 'logo', timeout: 3, area: { x: 1, y: 2, width: 30, height: 40 }, threshold: 0.9 },
      userinterface_name: 'tv',
    })
    host.calls.override = (call) => {
      if (call.path === '/host/verification/executeBatch') call.body.verifications = [{ command: 'fail_text' }]
      return undefined
    }
    const failed = await ann('verify', box, 'text', 'Home', '--json')
    host.calls.override = undefined
    assert.deepEqual([failed.code, (JSON.parse(failed.stdout) as { outcome: string }).outcome], [1, 'failed'])
  })

  await t.test('somebody else is refused, is told who has it, and nothing of it reaches the host', async () => {
    const before = host.calls.seen.length
    const refused = await bob('press', box, 'OK')
    assert.equal(refused.code, 4)
    assert.match(refused.stderr, /Ann[\s\S]*vpt who/)
    assert.equal(host.calls.seen.length, before)
    good(await ann('release', box))
    good(await bob('screenshot', box, '-o', path.join(folder, 'mine.jpg')))
  })
})

test('vpt hosts: state, devices, and whether the server calls a host over its link', async (t) => {
  const lab = await startLab(t, { host: { devices: 2, beatMs: 60_000 } })
  await registerNatHost(lab)
  await dialLink(t, lab)
  const env = { VPT_SERVER: lab.url }
  const lines = (await vpt(t, ['hosts'], env)).stdout.split('\n')
  assert.match(lines[0] ?? '', /^HOST +STATUS +DEVICES +LINK +URL$/)
  assert.match(lines.find((line) => line.startsWith('lab-1')) ?? '', /^lab-1 +online +2 +no +http:\/\/127\.0\.0\.1:\d+$/)
  assert.match(lines.find((line) => line.startsWith('nat-1')) ?? '', /^nat-1 +online +1 +open, for [\d.]+ m?s +http/)
  const { hosts } = JSON.parse((await vpt(t, ['hosts', '--json'], env)).stdout) as { hosts: Record<string, unknown>[] }
  assert.deepEqual(
    hosts.map(({ host_name, status, devices, linked_since }) => [host_name, status, devices, typeof linked_since]),
    [
      ['lab-1', 'online', 2, 'object'],
      ['nat-1', 'online', 1, 'string'],
    ],
  )
})
