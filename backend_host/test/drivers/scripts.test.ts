import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { RunOrder } from '@virtualpytest/shared'
import { findChromium } from '../../src/drivers/index.ts'
import { startAgentProcess, startLab, until } from '../start-agent.ts'

/** The scripts that come with the product, run by a real agent as a process on the simulated box and a real browser. */

const scriptsDir = path.resolve(import.meta.dirname, '../../../test_scripts')

async function startHost(t: TestContext, env: Record<string, string> = {}) {
  const lab = await startLab(t)
  const agent = await startAgentProcess(t, lab, { TEST_SCRIPTS_DIR: scriptsDir, ...env })

  async function run(script: string, more: Partial<RunOrder> = {}) {
    const order = lab.order(script, more)
    const answer = await lab.server.dispatch(order)
    assert.equal(answer.status, 202, JSON.stringify(answer.body))
    const ledger = lab.server.run(order.run_id)
    await until(`${script} ends`, () => ledger.results.length > 0)
    const outcome = ledger.results[0]?.result?.outcome
    const steps = [...ledger.steps.values()]
    const report = `${ledger.lines.join('\n')}\n${JSON.stringify(steps, null, 1)}`
    return { ledger, outcome, steps, report }
  }

  return { lab, agent, run }
}

test('S: zapping measures each channel change on the box', async (t) => {
  const { lab, run } = await startHost(t)
  const { outcome, steps, ledger, report } = await run('zapping.ts', {
    parameters: '--host x --device device1 --channels 3',
  })
  assert.equal(outcome, 'passed', report)
  assert.equal(steps.length, 5)
  assert.ok(steps.every((step) => step.outcome === 'passed' && step.screenshot_artifact_id))
  for (const step of steps.slice(1, 4)) {
    const { measures = [] } = step.details ?? {}
    const [time] = measures as { name: string; value: number; unit: string }[]
    assert.ok(time && time.name === 'channel_change' && time.value >= 300 && time.value <= 1500, report)
  }
  assert.ok(ledger.lines.includes('SCRIPT_SUCCESS:true'))
  const known = lab.server.registrations[0]?.scripts?.find((script) => script.name === 'zapping.ts')
  assert.deepEqual(
    known?.parameters.map(({ name, value_type, default: fallback }) => [name, value_type, fallback]),
    [
      ['channels', 'int', '5'],
      ['max-ms', 'int', '1500'],
      ['key', 'str', 'CHANNEL_UP'],
    ],
  )
  const strict = await run('zapping.ts', { parameters: '--channels 2 --max-ms 10', token: 2 })
  assert.equal(strict.outcome, 'failed')
  assert.deepEqual(
    strict.steps.map((step) => step.outcome),
    ['passed', 'failed'],
  )
  assert.match(strict.steps[1]?.message ?? '', /allowed are 10 ms/)
})

test('S: menu_walk visits every place of the menu and keeps pictures', async (t) => {
  const { run } = await startHost(t)
  const { outcome, steps, ledger, report } = await run('menu_walk.ts')
  assert.equal(outcome, 'passed', report)
  assert.equal(steps.length, 10)
  const names = [...ledger.artifacts.values()].map((artifact) => artifact.name)
  assert.ok(
    names.some((name) => name.startsWith('menu-settings')),
    names.join(', '),
  )
})

test('S: web_smoke passes on the demo page of the agent', {
  timeout: 120_000,
  skip: findChromium() ? false : 'no Chromium is installed on this machine',
}, async (t) => {
  const { agent, run } = await startHost(t, { HOST_MODEL: 'web' })
  const { outcome, steps, report } = await run('web_smoke.ts', { device_id: 'host' })
  assert.equal(outcome, 'passed', report)
  assert.equal(steps.length, 5)
  const other = await run('web_smoke.ts', { device_id: 'host', parameters: '--title "Another title"', token: 2 })
  assert.equal(other.outcome, 'failed')
  assert.match(other.steps[1]?.message ?? '', /The title is "VPT Demo/)
  assert.equal((await agent.kill('SIGTERM')).code, 0, agent.output())
  const profile = `vpt-chromium-${agent.child.pid}-`
  assert.deepEqual(
    readdirSync(tmpdir()).filter((name) => name.startsWith(profile)),
    [],
    'the browser ends with its agent',
  )
})

test('S: the examples in Python and shell pass', async (t) => {
  const { run } = await startHost(t)
  const python = await run('hello', { parameters: '--host h --device device1 --name Ada' })
  assert.equal(python.outcome, 'passed', python.report)
  assert.match(python.ledger.lines[0] ?? '', /^Hello, Ada, from Python 3/)
  assert.deepEqual(
    python.steps.map((step) => [step.name, step.outcome]),
    [['Say hello', 'passed']],
  )
  const shell = await run('hello.sh', { parameters: '--name "Ada L"', token: 2 })
  assert.equal(shell.outcome, 'passed', shell.report)
  assert.match(shell.ledger.lines[0] ?? '', /^Hello, Ada L, from a shell/)
  assert.match(shell.ledger.lines[1] ?? '', /device1 of host test-host/)
})
