import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { hostName, isAlive, startAgentProcess, startLab, until } from './start-agent.ts'

const main = path.resolve(import.meta.dirname, '../src/main.ts')
const outboxOf = (dataDir: string): Promise<string[]> => readdir(path.join(dataDir, 'outbox'))

test('N1: an agent killed in mid-run ends the orphans in its next life and reports them as host_restarted', async (t) => {
  const lab = await startLab(t)
  await lab.script(
    'orphan',
    `#!/bin/bash
curl -s -o /dev/null -X POST -H "authorization: Bearer $VPT_RUN_KEY" -H 'content-type: application/json' -d '{"name":"open step"}' "$VPT_AGENT_URL/run/steps" || exit 9
setsid sh -c 'echo stranger $$; sleep 300; exit 0' &
echo main $$
sleep 300
`,
    0o755,
  )
  const first = await startAgentProcess(t, lab)
  const order = lab.order('orphan', { token: 3 })
  const waiting = lab.order('orphan', { token: 3 })
  await lab.server.dispatch(order)
  await lab.server.dispatch(waiting)
  const run = lab.server.run(order.run_id)
  await until('both processes told their ids', () => run.lines.length === 2 && run.steps.size === 1)
  const pids = run.lines.map((line) => Number(line.split(' ')[1]))
  await first.kill('SIGKILL')
  for (const pid of pids) assert.equal(isAlive(pid), true, 'scripts outlive their agent')

  const second = await startAgentProcess(t, lab)
  for (const pid of pids) assert.equal(isAlive(pid), false, 'and not the next one')
  const results = [run.results, lab.server.run(waiting.run_id).results]
  await until('both results are there', () => results.every((one) => one.length === 1))
  for (const [result] of results) {
    assert.equal(result?.token, 3)
    assert.equal(result?.result?.outcome, 'error')
    assert.equal(result?.result?.error_code, 'host_restarted')
  }
  assert.equal(run.steps.get(1)?.outcome, 'error')
  assert.equal(run.lines.length, 2, 'no line twice')
  await until('the outbox is empty', async () => (await outboxOf(lab.dataDir)).length === 0)
  assert.equal((await lab.server.dispatch(order)).status, 202)
  const stale = await lab.server.dispatch(lab.order('orphan', { token: 2 }))
  assert.equal(stale.body.code, 'stale_token', 'the highest token survived')
  assert.equal((await second.kill('SIGTERM')).code, 0)
  assert.equal(run.results.length, 1)
  assert.deepEqual(lab.server.invalid, [])
})

test('N1: a result that could not be delivered survives the death of the agent, with its log, steps and files', async (t) => {
  const lab = await startLab(t)
  await lab.script('work.sh', 'echo begun; sleep 1; echo data > "$VPT_ARTIFACTS_DIR/a.txt"; echo ended; exit 2\n')
  const first = await startAgentProcess(t, lab)
  const order = lab.order('work.sh')
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('it runs', () => run.lines.length === 1)
  await lab.server.goAway()
  await until('it has ended', () => first.output().includes('"msg":"run ended"'))
  await first.kill('SIGKILL')
  await lab.server.comeBack()
  await startAgentProcess(t, lab)
  await until('the result is there', () => run.results.length === 1)
  assert.equal(run.results[0]?.result?.outcome, 'failed')
  assert.equal(run.results[0]?.result?.exit_code, 2)
  assert.deepEqual(run.lines, ['begun', 'ended'])
  assert.deepEqual(
    [...run.artifacts.values()].map(({ name, data }) => [name, String(data)]),
    [['a.txt', 'data\n']],
  )
  assert.equal(run.writesAfterResult, 0)
})

test('N5: SIGTERM waits for open runs, takes no new ones, unregisters and ends with 0', async (t) => {
  const lab = await startLab(t)
  await lab.script('short.sh', 'echo begun; sleep 2; echo ended\n')
  const agent = await startAgentProcess(t, lab)
  const order = lab.order('short.sh')
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('it runs', () => run.lines.length === 1)
  const ended = agent.kill('SIGTERM')
  await until('it drains', () => agent.output().includes('host agent stops'))
  const refused = await lab.server.dispatch(lab.order('short.sh', { device_id: 'device2' }))
  assert.deepEqual([refused.status, refused.body.code], [503, 'draining'])
  assert.equal((await lab.server.dispatch(order)).status, 202, 'a known order is still confirmed')
  assert.deepEqual(await ended, { code: 0, signal: null })
  assert.equal(run.results[0]?.result?.outcome, 'passed')
  assert.deepEqual(run.lines, ['begun', 'ended'])
  assert.deepEqual(lab.server.unregistered, [hostName])
})

test('N5: a run that does not end in time is stopped with host_stopping, within 25 s also when the script resists', async (t) => {
  const lab = await startLab(t)
  await lab.script('endless', '#!/bin/bash\ntrap "" TERM\necho $$\nwhile :; do sleep 1; done\n', 0o755)
  const agent = await startAgentProcess(t, lab)
  const order = lab.order('endless')
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('it runs', () => run.lines.length === 1)
  const startedAt = performance.now()
  assert.deepEqual(await agent.kill('SIGTERM'), { code: 0, signal: null })
  assert.ok(performance.now() - startedAt < 40_000)
  assert.equal(isAlive(Number(run.lines[0])), false)
  assert.equal(run.results[0]?.result?.error_code, 'host_stopping')
  assert.deepEqual(lab.server.unregistered, [hostName])
})

test('a second signal ends the agent at once', async (t) => {
  const lab = await startLab(t)
  await lab.script('sleep.sh', 'echo $$; sleep 60\n')
  const agent = await startAgentProcess(t, lab)
  const order = lab.order('sleep.sh')
  await lab.server.dispatch(order)
  await until('it runs', () => lab.server.run(order.run_id).lines.length === 1)
  const ended = agent.kill('SIGTERM')
  await until('it drains', () => agent.output().includes('host agent stops'))
  // At once it would count as the same one: npm passes on a Ctrl-C that the terminal has sent already.
  agent.child.kill('SIGTERM')
  await pause(1100)
  assert.equal(agent.child.exitCode, null)
  const startedAt = performance.now()
  agent.child.kill('SIGTERM')
  assert.equal((await ended).code, 1)
  assert.ok(performance.now() - startedAt < 15_000)
  // What it left is ended by the next life, so that this test leaves nothing behind.
  await startAgentProcess(t, lab)
  await until('the orphan is gone', () => !isAlive(Number(lab.server.run(order.run_id).lines[0])))
})

test('a second agent on the same data folder refuses to start; a dead one leaves no lock', async (t) => {
  const lab = await startLab(t)
  const first = await startAgentProcess(t, lab)
  await assert.rejects(startAgentProcess(t, lab), /Another agent \(process \d+\) uses the data folder/)
  await first.kill('SIGKILL')
  await startAgentProcess(t, lab)
})

test('all problems of the settings are named at once, without their values', async () => {
  const env = {
    PATH: process.env.PATH,
    SERVER_URL: 'ftp://s3cret',
    HOST_PORT: '99999',
    API_KEY: 'short',
    DEVICE1_NAME: 'Box',
    DEVICE2_MODEL: 'stb',
  }
  const child = spawn(process.execPath, ['-C', 'source', main], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  const [code] = (await once(child, 'close')) as [number]
  assert.equal(code, 1)
  for (const name of ['SERVER_URL', 'HOST_NAME', 'HOST_PORT', 'API_KEY', 'DEVICE1_MODEL', 'DEVICE2_NAME']) {
    assert.match(output, new RegExp(`  ${name} must be`), name)
  }
  for (const value of ['s3cret', '99999', 'short']) assert.ok(!output.includes(value), value)
})

test('the state folder holds no keys', async (t) => {
  const lab = await startLab(t)
  await lab.script('key.sh', 'echo "$VPT_RUN_KEY" | cut -c1-64; env | grep -c "API_KEY" || true; sleep 60\n')
  await startAgentProcess(t, lab, { API_KEY: 'a-shared-key-of-the-lab' })
  const order = lab.order('key.sh')
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('the script told what it has', () => run.lines.length === 2)
  assert.equal(run.lines[1], '0', 'the shared key is not given to scripts')
  const callKey = lab.server.registrations.at(-1)?.call_key ?? 'none'
  for (const name of await readdir(lab.dataDir, { recursive: true })) {
    const text = await readFile(path.join(lab.dataDir, name), 'utf8').catch(() => '')
    assert.ok(!text.includes(callKey) && !text.includes('a-shared-key'), name)
  }
})
