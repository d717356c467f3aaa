import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { beats, isAlive, type Lab, startLabWithAgent, until } from './start-agent.ts'

/** A script with a child, a grandchild, and one that left the process group; all but the first ignore SIGTERM. */
const familyScript = `
cd "$1"
(trap '' TERM; (trap '' TERM; echo $BASHPID > grandchild.pid; sleep 300) & echo $BASHPID > child.pid; sleep 300; sleep 300) &
setsid sh -c 'trap "" TERM; echo $$ > stranger.pid; sleep 300; sleep 300' &
echo $$ > main.pid
echo ready
sleep 300
`
const members = ['main', 'child', 'grandchild', 'stranger']

async function pidsOf(folder: string): Promise<number[]> {
  return Promise.all(members.map(async (name) => Number(await readFile(path.join(folder, `${name}.pid`), 'utf8'))))
}

async function startFamily(lab: Lab, more = {}): Promise<{ order: ReturnType<Lab['order']>; pids: number[] }> {
  await lab.script('family', `#!/bin/bash${familyScript}`, 0o755)
  const order = lab.order('family', { parameters: lab.scriptsDir, ...more })
  assert.equal((await lab.server.dispatch(order)).status, 202)
  await until('all processes run', () =>
    pidsOf(lab.scriptsDir).then(
      (pids) => pids.every((pid) => pid > 0),
      () => false,
    ),
  )
  const pids = await pidsOf(lab.scriptsDir)
  for (const pid of pids) assert.equal(isAlive(pid), true)
  return { order, pids }
}

test('cancel ends the whole family of a script, also who ignores SIGTERM or left its group', async (t) => {
  const lab = await startLabWithAgent(t)
  const { order, pids } = await startFamily(lab)
  const path = `/host/runs/${order.run_id}/cancel`
  const answer = await lab.server.callAgent(path, { token: order.token, reason: 'enough' })
  assert.deepEqual(answer, { status: 200, body: { success: true } })
  assert.equal((await lab.server.callAgent(path, { token: order.token })).status, 200, 'twice is once')
  const run = lab.server.run(order.run_id)
  await until('the result is there', () => run.results.length === 1)
  for (const pid of pids) assert.equal(isAlive(pid), false)
  assert.equal(run.results[0]?.result?.outcome, 'cancelled')
  assert.equal(run.results[0]?.result?.error_message, 'enough')
  assert.equal(run.results[0]?.error, undefined)
})

test('cancel refuses an older token and an unknown run', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('sleep.sh', 'sleep 60\n')
  const order = lab.order('sleep.sh', { token: 5 })
  await lab.server.dispatch(order)
  const stale = await lab.server.callAgent(`/host/runs/${order.run_id}/cancel`, { token: 4 })
  assert.equal(stale.status, 409)
  assert.equal(stale.body.code, 'stale_token')
  const unknown = await lab.server.callAgent('/host/runs/00000000-0000-4000-8000-000000000000/cancel', {})
  assert.equal(unknown.status, 404)
  assert.equal(unknown.body.code, 'run_not_found')
  await until('the run goes on', () => lab.server.run(order.run_id).isStarted)
  assert.equal(lab.server.run(order.run_id).results.length, 0)
})

test('a run that waits for its device is cancelled at once and never started', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('sleep.sh', 'sleep 60\n')
  const running = lab.order('sleep.sh')
  const waiting = lab.order('sleep.sh')
  await lab.server.dispatch(running)
  await lab.server.dispatch(waiting)
  await lab.server.callAgent(`/host/runs/${waiting.run_id}/cancel`, { token: 1 })
  await until('it has ended', () => lab.server.run(waiting.run_id).results.length === 1)
  assert.equal(lab.server.run(waiting.run_id).results[0]?.result?.outcome, 'cancelled')
  assert.equal(lab.server.run(waiting.run_id).isStarted, false)
  assert.equal(lab.server.run(running.run_id).results.length, 0)
})

test('a cancel in the answer to progress ends the run, where the server cannot reach the host', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('chatty.sh', 'while :; do echo still here; sleep 0.1; done\n')
  const order = lab.order('chatty.sh')
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('it runs', () => run.isStarted)
  run.cancel = true
  await until('it has ended', () => run.results.length === 1)
  assert.equal(run.results[0]?.result?.outcome, 'cancelled')
})

test('T12: the deadline is the one of the server, however wrong the clock of the host is', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('sleep.sh', 'echo begun; sleep 60\n')
  // The server is five minutes ahead: its deadline in two seconds looks far away here.
  lab.server.clockOffsetMs = 300_000
  await until('the agent knows the time', beats(lab, 2))
  const order = lab.order('sleep.sh', { deadline_at: new Date(Date.now() + 302_000).toISOString() })
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('it was ended by its deadline', () => run.results.length === 1)
  assert.equal(run.results[0]?.result?.outcome, 'error')
  assert.equal(run.results[0]?.result?.error_code, 'deadline')
  assert.ok(run.lines.includes('begun'))
  const time = run.results[0]?.result?.execution_time_ms ?? 0
  assert.ok(time > 500 && time < 10_000, `${time} ms`)

  const late = lab.order('sleep.sh', { deadline_at: new Date(Date.now() + 299_000).toISOString() })
  await lab.server.dispatch(late)
  await until('a passed deadline starts nothing', () => lab.server.run(late.run_id).results.length === 1)
  assert.equal(lab.server.run(late.run_id).isStarted, false)
})

test('N3: a lease that the server calls lost ends the run at once, and nothing of it is written any more', async (t) => {
  const lab = await startLabWithAgent(t)
  const { order, pids } = await startFamily(lab)
  const run = lab.server.run(order.run_id)
  await until('the beat renews the lease', () => lab.server.pings.at(-1)?.leases?.[0]?.run_id === order.run_id)
  lab.server.lostLeases = [{ device_id: 'device1', token: 1, run_id: order.run_id, reason: 'expired' }]
  await until('the agent was told', () => lab.server.lostLeases.length === 0)
  const written = run.staleWrites
  await until('all processes are gone', () => !pids.some(isAlive))
  await until('the lease is not renewed', async () => lab.server.pings.at(-1)?.leases?.length === 0)
  await until('beats go on', beats(lab, 1))
  assert.equal(run.results.length, 0)
  assert.equal(run.staleWrites, written)
})

test('N3: 409 stale_token to progress ends the run and drops what it left', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('chatty.sh', 'echo $$; while :; do echo still here; sleep 0.1; done\n')
  const order = lab.order('chatty.sh')
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('its first line came', () => run.lines.length > 0)
  const pid = Number(run.lines[0])
  lab.server.mode = 'stale'
  await until('the process is gone', () => !isAlive(pid))
  lab.server.mode = 'up'
  await until('the lease is given up', () => lab.server.pings.at(-1)?.leases?.length === 0)
  assert.equal(run.results.length, 0)
})
