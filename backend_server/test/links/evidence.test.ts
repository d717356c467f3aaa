import assert from 'node:assert/strict'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import type { Artifact, RunStep } from '@virtualpytest/shared'
import { type Lab, startLab, until } from '../start-lab.ts'
import { startLinkedAgent } from './start-linked-lab.ts'

const sdk = path.resolve(import.meta.dirname, '../../../backend_host/src/sdk/index.ts')
type Body = Record<string, unknown>
const target = { host_name: 'nat-1', device_id: 'device1', session_id: 'me' }
const post = async (lab: Lab, route: string, body: Body = {}): Promise<Body> => {
  const answer = await lab.post(`/server/${route}`, { ...target, ...body })
  assert.ok(answer.status < 300, `${route}: ${answer.text}`)
  return answer.body
}
const isJpeg = async (lab: Lab, url: unknown): Promise<boolean> => {
  const picture = await fetch(`${lab.url}${String(url)}`)
  return picture.status === 200 && picture.headers.get('content-type') === 'image/jpeg'
}
const readRun = async (lab: Lab, id: string) =>
  (await lab.get<{ run: { status: string }; steps: RunStep[]; artifacts: Artifact[] }>(`/server/runs/${id}`)).body

test('a reference is made and checked over the link, and what the checks saw is kept with the run when the host has nothing left', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  // The script of this test needs no other folder than its own.
  const scripts = path.join(lab.config.dataDir, 'scripts')
  await mkdir(scripts, { recursive: true })
  await writeFile(
    path.join(scripts, 'looks.ts'),
    `import { device, run, step } from ${JSON.stringify(sdk)}
await run(async () => {
  await step('the picture stands still', async () => {
    const result = await device.tryCommand('DetectFreeze', {})
    if (!result.success) throw new Error(result.message)
  })
})
`,
  )
  const agent = await startLinkedAgent(t, { serverUrl: lab.url, env: { TEST_SCRIPTS_DIR: scripts } })
  await until('the link is open', () => agent.output().includes('link to the server is open'))
  await post(lab, 'control/takeControl')

  // Crop, filter, save: each step shows its picture through the server.
  const image_source_url = (await post(lab, 'av/takeScreenshot')).screenshot_url
  const area = { x: 768, y: 604, width: 216, height: 76 }
  const crop = await post(lab, 'verification/image/cropImage', { image_source_url, area })
  assert.ok(await isJpeg(lab, (crop.media as Body).image_cropped_url))
  const filtered = await post(lab, 'verification/image/processImage', {
    image_source_url: crop.image_cropped_url,
    image_filter: 'greyscale',
  })
  assert.ok(await isJpeg(lab, (filtered.media as Body).image_filtered_url))
  const name = { reference_name: 'search', userinterface_name: 'box' }
  const saved = await post(lab, 'verification/image/saveImage', { ...name, image_source_url: crop.image_cropped_url, area })
  assert.equal(saved.success, true, JSON.stringify(saved))

  const checks: Body[] = []
  await t.test('a single check answers with evidence that the server shows', async () => {
    const verification = { command: 'waitForImageToAppear', params: { image_path: 'search' }, userinterface_name: 'box' }
    const result = await post(lab, 'verification/image/execute', { verification })
    assert.deepEqual([result.success, result.resultType], [true, 'PASS'], String(result.message))
    const media = result.media as Body
    for (const field of ['sourceUrl', 'referenceUrl', 'overlayUrl']) assert.ok(await isJpeg(lab, media[field]), field)
    const wrong = { command: 'waitForImageToDisappear', params: { image_path: 'search' }, userinterface_name: 'box' }
    const failed = await post(lab, 'verification/image/execute', { verification: wrong })
    assert.equal(failed.success, false)
    checks.push(result, failed)
  })

  const check = { command: 'waitForImageToAppear', verification_type: 'image', params: { image_path: 'search' } }
  const started = await post(lab, 'verification/executeBatch', {
    verifications: [
      { ...check, userinterface_name: 'box' },
      { command: 'DetectMotion', verification_type: 'video', params: { duration: 0.3 } },
    ],
  })
  const batchId = String(started.execution_id)
  const status = await until('the batch ends', async () => {
    const { body } = await lab.get(`/server/verification/execution/${batchId}/status?host_name=nat-1&device_id=device1`)
    return body.status !== 'running' && body
  })
  const { results } = status.result as { results: Body[] }
  assert.deepEqual(
    results.map((one) => [one.success, Object.keys((one.evidence ?? {}) as Body).sort()]),
    [
      [true, ['overlay', 'reference', 'screen', 'source']],
      [false, ['screen', 'source']],
    ],
  )

  const script = await post(lab, 'script/execute', { script_name: 'looks.ts' })
  const runId = String(script.run_id)
  await until('the run ends', async () => (await readRun(lab, runId)).run.status === 'passed')

  // The host is gone, and so are its pictures.
  await agent.kill('SIGKILL')
  await rm(path.join(agent.dataDir, 'media'), { recursive: true, force: true })
  assert.ok(!(await readdir(agent.dataDir)).includes('media'))

  await t.test('the pictures of a batch are artifacts of its run, each step names its own', async () => {
    const [image] = results
    for (const url of Object.values((image?.evidence ?? {}) as Body)) assert.ok(await isJpeg(lab, url), String(url))
    const { steps, artifacts } = await readRun(lab, batchId)
    assert.deepEqual(
      steps.map((step) => artifacts.some((one) => one.id === step.screenshot_artifact_id)),
      [true, true],
    )
    assert.deepEqual(steps[0]?.details?.evidence, image?.evidence)
  })

  await t.test('the pictures of a single check are artifacts of a run of its own, which says what came of it', async () => {
    for (const [index, check] of checks.entries()) {
      const evidence = check.evidence as Body
      assert.deepEqual(Object.keys(evidence).sort(), ['overlay', 'reference', 'source'])
      for (const url of Object.values(evidence)) assert.ok(await isJpeg(lab, url), String(url))
      const { run, steps, artifacts } = await readRun(lab, String(check.run_id))
      assert.deepEqual([run.status, artifacts.length, steps.length], [index === 0 ? 'passed' : 'failed', 3, 1])
      assert.deepEqual(steps[0]?.details?.evidence, evidence)
      assert.equal(steps[0]?.message, check.message)
    }
  })

  await t.test('the pictures of a check in a script are artifacts of the run, and its step says which', async () => {
    const { steps, artifacts } = await readRun(lab, runId)
    const [seen] = (steps[0]?.details?.evidence ?? []) as Body[]
    assert.deepEqual([seen?.command, seen?.success], ['DetectFreeze', true])
    const kept = artifacts.find((one) => one.id === seen?.source)
    assert.ok(kept && (await isJpeg(lab, kept.url)))
  })
})
