import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  actionResult,
  actionsResult,
  assertShape,
  verificationResult,
  verificationsResult,
} from '../contract/documented-shapes.ts'
import { programEnv } from '../program-env.ts'
import { type Lab, startLab, until } from '../start-lab.ts'

type Body = Record<string, unknown>
interface Status {
  status: string
  outcome: string
  error: string | null
  result: (Body & { results: Body[] }) | null
}

const agentMain = fileURLToPath(new URL('../../../backend_host/src/main.ts', import.meta.url))
const target = { host_name: 'real-host', device_id: 'device1' }

interface RealAgent {
  child: ChildProcess
  start: () => Promise<void>
  kill: () => Promise<void>
}

/** The agent as the process that a lab starts, with a simulated box. */
async function startAgent(t: TestContext, lab: Lab, env: Record<string, string>): Promise<RealAgent> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'vpt-agent-'))
  let output = ''
  const agent: RealAgent = {
    child: undefined as unknown as ChildProcess,
    async start() {
      const child = spawn(process.execPath, ['-C', 'source', agentMain], {
        env: {
          ...programEnv(),
          SERVER_URL: lab.url,
          HOST_NAME: 'real-host',
          HOST_PORT: '0',
          DATA_DIR: dataDir,
          DEVICE1_NAME: 'Box',
          DEVICE1_MODEL: 'stb',
          DEVICE1_DRIVER: 'sim',
          ...env,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      child.stdout.on('data', (chunk) => (output += String(chunk)))
      child.stderr.on('data', (chunk) => (output += String(chunk)))
      agent.child = child
      await until('the agent is there', async () => {
        if (child.exitCode !== null) throw new Error(`the agent ended:\n${output}`)
        const { hosts } = (await lab.get<{ hosts: Body[] }>('/server/system/getAllHosts')).body
        if (!hosts.some((host) => host.host_name === 'real-host' && host.status === 'online')) return false
        // A host registers before its link is up.
        return (await lab.post('/server/power/getStatus', target)).status === 200
      })
    },
    async kill() {
      if (agent.child.exitCode !== null || agent.child.signalCode !== null) return
      agent.child.kill('SIGKILL')
      await once(agent.child, 'exit')
    },
  }
  t.after(async () => {
    await agent.kill()
    await rm(dataDir, { recursive: true, force: true, maxRetries: 3 })
  })
  await agent.start()
  return agent
}

async function finished(lab: Lab, kind: string, id: unknown): Promise<Status> {
  return until(
    `${kind} ends`,
    async () => {
      const { body } = await lab.get<Status>(`/server/${kind}/execution/${String(id)}/status?host_name=real-host`)
      return body.status === 'running' ? undefined : body
    },
    60_000,
  )
}

async function driveBox(t: TestContext, env: Record<string, string>): Promise<void> {
  const lab = await startLab(t, { hosts: 0 })
  const agent = await startAgent(t, lab, env)
  const post = async <B = Body>(route: string, body: Body = {}): Promise<B> => {
    const answer = await lab.post<B & { success?: boolean }>(`/server/${route}`, { ...target, ...body })
    assert.equal(answer.status, 200, `${route}: ${answer.text.slice(0, 500)}`)
    assert.equal(answer.body.success, true, `${route}: ${answer.text.slice(0, 500)}`)
    return answer.body
  }

  await t.test('take, power, keys', async () => {
    await post('control/takeControl')
    await post('power/executeCommand', { command: 'power_on' })
    await until('the box shows its home screen', async () => {
      const { body } = await lab.post<{ elements?: Body[] }>('/server/remote/dumpUi', target)
      return (body.elements?.length ?? 0) > 0
    })
    await post('remote/executeCommand', { command: 'press_key', params: { key: 'RIGHT' } })
  })

  await t.test('look: a picture in the answer, and one on the host', async () => {
    const { screenshot } = await post<{ screenshot: string }>('remote/takeScreenshot')
    assert.ok(Buffer.from(screenshot, 'base64').length > 1000)
    const { screenshot_url } = await post<{ screenshot_url: string }>('av/takeScreenshot')
    assert.match(screenshot_url, /\/host\/stream\/capture1\/captures\//)
    const { media } = await post<{ media: { screenshot_url: string } }>('av/takeScreenshot')
    const picture = await fetch(lab.url + media.screenshot_url)
    assert.deepEqual([picture.status, picture.headers.get('content-type')], [200, 'image/jpeg'])
    assert.ok((await picture.arrayBuffer()).byteLength > 1000, 'a browser finds it at this server')
    const { stream_url } = await post<{ stream_url: string }>('av/getStreamUrl')
    assert.match(stream_url, /\/host\/stream\/capture1\/segments\/output\.m3u8/)
  })

  await t.test('a batch of actions presses the keys and leaves its steps', async () => {
    const press = (key: string) => ({ command: 'press_key', params: { key }, action_type: 'remote' })
    const { execution_id } = await post('action/executeBatch', { actions: [press('LEFT'), press('RIGHT')] })
    const status = await finished(lab, 'action', execution_id)
    assert.deepEqual(
      [status.status, status.outcome, status.result?.passed_count],
      ['completed', 'passed', 2],
      JSON.stringify(status),
    )
    assertShape(status.result ?? {}, actionsResult, 'the result of actions')
    assertShape(status.result?.results[0] ?? {}, actionResult, 'the result of one action')
    const { run, steps } = (await lab.get<{ run: Body; steps: Body[] }>(`/server/runs/${String(execution_id)}`)).body
    assert.deepEqual([run.kind, run.status, steps.length], ['batch', 'passed', 2])
  })

  await t.test('retry and failure actions reach the agent', async () => {
    const { execution_id } = await post('action/executeBatch', {
      actions: [{ command: 'press_key', params: { key: 'NO_SUCH_KEY' } }],
      retry_actions: [{ command: 'press_key', params: { key: 'NO_SUCH_KEY' } }],
      failure_actions: [{ command: 'press_key', params: { key: 'HOME' } }],
    })
    const status = await finished(lab, 'action', execution_id)
    assert.deepEqual([status.status, status.outcome, status.result?.success], ['completed', 'failed', false])
    assert.deepEqual(
      status.result?.results.map((one) => [one.action_category, one.success]),
      [
        ['main', false],
        ['retry', false],
        ['failure', true],
      ],
    )
  })

  const area = { x: 100, y: 80, width: 300, height: 120 }
  let source = ''
  await t.test('a reference: crop, save; the picture is kept by the server', async () => {
    source = String((await post('av/takeScreenshot')).screenshot_url)
    const cropped = await post('verification/image/cropImage', { image_source_url: source, area })
    assert.match(String(cropped.image_cropped_url), /\/host\/stream\/capture1\//)
    const saved = await post<{ reference_id: string; reference: Body }>('verification/image/saveImage', {
      image_source_url: source,
      area,
      reference_name: 'corner',
      userinterface_name: 'box',
    })
    const image = await fetch(`${lab.url}/server/references/${saved.reference_id}/image`)
    assert.deepEqual([image.status, image.headers.get('content-type')], [200, 'image/png'])
    assert.ok((await image.arrayBuffer()).byteLength > 100)
  })

  await t.test('a verification finds it, and does not find it where it is not', async () => {
    const check = (params: Body) => ({
      command: 'waitForImageToAppear',
      verification_type: 'image',
      userinterface_name: 'box',
      params: { image_path: 'corner', timeout: 2, threshold: 0.9, ...params },
    })
    const good = await post('verification/executeBatch', { verifications: [check({ area })] })
    const found = await finished(lab, 'verification', good.execution_id)
    assert.deepEqual([found.status, found.outcome, found.result?.success], ['completed', 'passed', true], JSON.stringify(found))
    assertShape(found.result ?? {}, verificationsResult, 'the result of checks')
    assertShape(found.result?.results[0] ?? {}, verificationResult, 'the result of one check')
    await post('remote/executeCommand', { command: 'press_key', params: { key: 'POWER' } })
    const bad = await post('verification/executeBatch', { verifications: [check({ timeout: 0 })] })
    const missed = await finished(lab, 'verification', bad.execution_id)
    assert.deepEqual([missed.status, missed.outcome], ['error', 'failed'], JSON.stringify(missed))
    await post('power/executeCommand', { command: 'power_on' })
  })

  await t.test('a block is cancelled on the agent itself', async () => {
    const { execution_id } = await post('builder/execute', { command: 'sleep', params: { duration: 60 } })
    const cancel = await lab.post(`/server/runs/${String(execution_id)}/cancel`)
    assert.equal(cancel.status, 200, cancel.text)
    const status = await finished(lab, 'builder', execution_id)
    assert.equal(status.outcome, 'cancelled', JSON.stringify(status))
  })

  await t.test('the agent is killed in the middle of a batch: an error that says so, and it can be driven again', async () => {
    const { execution_id } = await post('builder/execute', { command: 'sleep', params: { duration: 60 } })
    await agent.kill()
    await agent.start()
    const status = await finished(lab, 'builder', execution_id)
    assert.deepEqual([status.status, status.outcome], ['error', 'error'])
    assert.match(String(status.error), /^host_restarted/)
    await post('remote/executeCommand', { command: 'press_key', params: { key: 'HOME' } })
  })

  await t.test('and lets go', async () => {
    await post('control/releaseControl')
    const { body } = await lab.post('/server/control/checkLock', target)
    assert.equal(body.is_locked, false)
  })
}

for (const [way, LINK] of [
  ['by its URL', 'off'],
  ['over its link', 'on'],
] as const) {
  test(`a person takes a real box ${way}, presses keys, looks, makes a reference, checks with it, and lets go`, (t) =>
    driveBox(t, { LINK }))
}
