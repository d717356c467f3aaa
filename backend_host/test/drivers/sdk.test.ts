import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import sharp from 'sharp'
import { createDriver } from '../../src/drivers/index.ts'
import {
  AgentError,
  CheckError,
  CommandError,
  device,
  luminance,
  measure,
  params,
  runSettings,
  screen,
  screenshot,
  step,
  waitForImage,
  waitForText,
  waitForTextToDisappear,
} from '../../src/sdk/index.ts'
import { runEnvironment, startRunApi } from './run-api.ts'

const { signal } = new AbortController()

async function startBox(t: TestContext) {
  const driver = createDriver('sim', { seed: 1 })
  t.after(() => driver.close())
  await driver.open(signal)
  return startRunApi(t, driver)
}

/** Runs a script in a process of its own, as the agent does. */
async function runScript(t: TestContext, source: string, env: Record<string, string>, args: string[] = []) {
  const folder = await mkdtemp(join(tmpdir(), 'vpt-sdk-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'script.ts')
  const sdk = new URL('../../src/sdk/index.ts', import.meta.url).href
  await writeFile(file, source.replaceAll('SDK', JSON.stringify(sdk)))
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      ['-C', 'source', file, ...args],
      { env: { PATH: process.env.PATH, ...env } },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

test('S: keys, texts, pictures and figures reach the device and the agent', async (t) => {
  const recorded = await startBox(t)
  assert.equal(device.id, 'device1')
  assert.equal(device.model, 'stb')
  assert.equal(await waitForText('watch NOW'), 'Watch now')
  await device.pressKey('OK')
  assert.match(await waitForText('Next:', { timeoutMs: 3000 }), /^Next: /)
  await waitForTextToDisappear('Watch now', { timeoutMs: 1000 })
  assert.ok((await screen()).elements.some((element) => element.id === 'banner_channel' && element.text === 'One HD'))
  const picture = await screenshot('live')
  assert.deepEqual(recorded.screenshots, ['live'])
  assert.ok((await luminance(picture)) > 5)
  await measure('change', 512.5, 'ms')
  assert.deepEqual(recorded.measures, [{ name: 'change', value: 512.5, unit: 'ms' }])
})

test('S: what is missing is said together with what is there', async (t) => {
  await startBox(t)
  await assert.rejects(waitForText('No such text', { timeoutMs: 150 }), (error) => {
    assert.ok(error instanceof CheckError)
    assert.match(error.message, /"No such text" did not appear within 150 ms\. On the screen: .*"VPT Box"/)
    return true
  })
  await assert.rejects(waitForTextToDisappear('Watch now', { timeoutMs: 150 }), CheckError)
  await assert.rejects(
    device.pressKey('NO_KEY'),
    (error) => error instanceof CommandError && /key must be one of/.test(error.message),
  )
  assert.equal((await device.tryCommand('no_such_command')).success, false)
})

test('S: a step passes, fails by a check, and is an error by anything else', async (t) => {
  const { steps } = await startBox(t)
  assert.equal(await step('good', () => 42), 42)
  await assert.rejects(
    step('assertion', () => assert.equal(1, 2)),
    assert.AssertionError,
  )
  await assert.rejects(
    step('missing text', async () => waitForText('nowhere', { timeoutMs: 10 }), { kind: 'verification' }),
    CheckError,
  )
  await assert.rejects(
    step('bug', () => JSON.parse('{'), { screenshot: false }),
    SyntaxError,
  )
  assert.deepEqual(
    steps.map(({ name, kind, outcome, screenshot: picture }) => [name, kind, outcome, picture]),
    [
      ['good', 'block', 'passed', true],
      ['assertion', 'block', 'failed', true],
      ['missing text', 'verification', 'failed', true],
      ['bug', 'block', 'error', false],
    ],
  )
  assert.equal(steps[0]?.message, null)
  assert.match(steps[2]?.message ?? '', /did not appear/)
})

test('S: an image is found where it is, as bytes, file and JPEG, and not where it is not', async (t) => {
  await startBox(t)
  const home = await screenshot()
  const card = { left: 648, top: 428, width: 180, height: 118 }
  const reference = await sharp(home).extract(card).png().toBuffer()
  const found = await waitForImage(reference, { timeoutMs: 100 })
  assert.ok(Math.abs(found.x - 648) <= 1 && Math.abs(found.y - 428) <= 1, JSON.stringify(found))
  assert.ok(found.confidence > 0.99)

  const folder = await mkdtemp(join(tmpdir(), 'vpt-image-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'card.jpg')
  await sharp(reference).jpeg({ quality: 60 }).toFile(file)
  const compressed = await waitForImage(file, { timeoutMs: 100, threshold: 0.9 })
  assert.ok(Math.abs(compressed.x - 648) <= 1 && Math.abs(compressed.y - 428) <= 1)

  const inside = await waitForImage(reference, { timeoutMs: 100, area: { x: 600, y: 400, width: 300, height: 200 } })
  assert.deepEqual([inside.x, inside.y], [found.x, found.y])
  await assert.rejects(waitForImage(reference, { timeoutMs: 50, area: { x: 0, y: 0, width: 600, height: 700 } }), CheckError)

  const darker = await sharp(reference).linear(0.35, 0).png().toBuffer()
  await assert.rejects(waitForImage(darker, { timeoutMs: 50 }), /did not appear.*best match/)
  const tooLarge = await sharp(home).resize(1400, 800).png().toBuffer()
  await assert.rejects(waitForImage(tooLarge, { timeoutMs: 50 }), CheckError)
  const small = await sharp(home).extract({ left: 70, top: 44, width: 36, height: 36 }).png().toBuffer()
  const logo = await waitForImage(small, { timeoutMs: 50 })
  assert.ok(Math.abs(logo.x - 70) <= 1 && Math.abs(logo.y - 44) <= 1, JSON.stringify(logo))
  await device.pressKey('GUIDE')
  await assert.rejects(waitForImage(small, { timeoutMs: 50 }), CheckError)
})

test('S: parameters have the declared types, defaults and complaints', () => {
  const declared = ['--channels:int:3', '--ratio:float:0.5', '--name:str:', '--deep:bool:false', '--max-ms:int:10'] as const
  const defaults = params(declared, [])
  assert.deepEqual(defaults, { channels: 3, ratio: 0.5, name: '', deep: false, 'max-ms': 10 })
  const typed: { channels: number; ratio: number; name: string; deep: boolean; 'max-ms': number } = defaults
  assert.ok(typed)
  const words = [
    'ui',
    '--host',
    'h',
    '--device',
    'd',
    '--channels',
    '-7',
    '--ratio=1e3',
    '--name',
    'a b',
    '--deep',
    '--max-ms',
    '5',
  ]
  assert.deepEqual(params(declared, words), { channels: -7, ratio: 1000, name: 'a b', deep: true, 'max-ms': 5 })
  assert.equal(params(declared, ['--deep', 'TRUE']).deep, true)
  assert.equal(params(declared, ['--deep=false']).deep, false)
  assert.equal(params(declared, ['--name', '']).name, '')
  assert.throws(() => params(declared, ['--channels', 'many']), /--channels must be a number/)
  assert.throws(() => params(declared, ['--channels', '1.5']), /--channels must be a whole number/)
  assert.throws(() => params(declared, ['--name']), /--name needs a value/)
  assert.throws(() => params(declared, ['--deep=maybe']), /--deep must be true or false/)
  assert.throws(() => params(['--must:str'], []), /--must is missing/)
  assert.deepEqual(params(['--maybe:int:None'], []), { maybe: null })
})

test('S: the verdict of a script is its marker and its exit code', async (t) => {
  const recorded = await startBox(t)
  const env = runEnvironment(recorded)
  const good = await runScript(
    t,
    `import { device, params, run } from SDK
const _script_args = ['--times:int:2']
await run(async () => { console.log('times', params().times); await device.pressKey('HOME') })`,
    env,
    ['--host', 'h', '--device', 'd', '--times', '4', '--unknown', 'x'],
  )
  assert.equal(good.stdout, 'times 4\nSCRIPT_SUCCESS:true\n')
  assert.match(good.stderr, /--unknown is not known/)
  assert.equal(good.code, 0)
  const failed = await runScript(
    t,
    "import { run, waitForText } from SDK\nawait run(async () => { await waitForText('x y z', { timeoutMs: 1 }) })",
    env,
  )
  assert.match(failed.stdout, /FAILED: "x y z" did not appear.*\nSCRIPT_SUCCESS:false\n$/)
  assert.equal(failed.code, 1)
  const broken = await runScript(t, "import { run } from SDK\nawait run(() => { throw new TypeError('a bug') })", env)
  assert.match(broken.stdout, /ERROR: TypeError: a bug\n\s+at .*script\.ts/)
  assert.equal(broken.code, 1)
  const open = await runScript(t, 'import { run } from SDK\nsetInterval(() => {}, 1000)\nawait run(() => {})', env)
  assert.equal(open.code, 0, 'a timer left open does not keep the run from ending')
  const alone = await runScript(t, 'import { device, run } from SDK\nawait run(() => device.pressKey("OK"))', {})
  assert.match(alone.stdout, /started by a host agent/)
})

test('T: a run that lost its device hears it at the next call', async (t) => {
  const recorded = await startBox(t)
  recorded.loseLease()
  await assert.rejects(device.pressKey('OK'), (error) => error instanceof AgentError && error.code === 'stale_token')
  const script = "import { device, run } from SDK\nawait run(() => device.pressKey('OK'))"
  const lost = await runScript(t, script, runEnvironment(recorded))
  assert.match(lost.stdout, /lost its device/)
  assert.equal(lost.code, 1)
})

test('N: a wrong key and an agent that is gone are told apart', async (t) => {
  const recorded = await startBox(t)
  process.env.VPT_RUN_KEY = 'wrong'
  await assert.rejects(screen(), (error) => error instanceof AgentError && error.code === 'unauthorized')
  process.env.VPT_RUN_KEY = runEnvironment(recorded).VPT_RUN_KEY
  process.env.VPT_AGENT_URL = 'http://127.0.0.1:9'
  await assert.rejects(screen(), (error) => error instanceof AgentError && error.code === 'agent_unreachable')
  delete process.env.VPT_AGENT_URL
  assert.throws(() => runSettings(), /VPT_AGENT_URL and VPT_RUN_KEY are not set/)
})
