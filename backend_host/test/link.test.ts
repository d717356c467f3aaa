import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { beats, hostName, startLabWithAgent, until } from './start-agent.ts'

test('registration and beat carry what the protocol wants', async (t) => {
  const lab = await startLabWithAgent(t, { API_KEY: 'a-shared-key-of-the-lab', DEVICE2_MODEL: 'web', DEVICE2_DRIVER: 'web' })
  await lab.script('gw/ping.py', '"""Pings the gateway."""\n_script_args = ["--count:int:3"]\n')
  await until('the new script is announced', () => (lab.server.registrations.at(-1)?.scripts?.length ?? 0) === 1)
  const body = lab.server.registrations.at(-1)
  assert.equal(body?.host_name, hostName)
  assert.equal(body?.host_url, lab.url)
  assert.equal(body?.host_api_url, lab.url)
  assert.equal(body?.host_port, Number(new URL(lab.url).port))
  assert.equal(body?.host_ip, '127.0.0.1')
  assert.equal(body?.agent, 'virtualpytest-host')
  assert.equal(body?.protocol, 1)
  assert.equal(body?.device_count, 2)
  assert.deepEqual(
    body?.devices.map(({ device_id, device_name, device_model }) => [device_id, device_name, device_model]),
    [
      ['device1', 'Box 1', 'stb'],
      ['device2', 'Box 2', 'web'],
    ],
  )
  assert.deepEqual(body?.capabilities, ['av', 'remote', 'verification', 'web'])
  assert.deepEqual(body?.scripts, [
    {
      name: 'gw/ping',
      description: 'Pings the gateway.',
      parameters: [{ name: 'count', type: 'optional', required: false, help: '', default: '3', value_type: 'int' }],
    },
  ])
  assert.ok((body?.call_key ?? '').length >= 32)
  const stats = body?.system_stats as Record<string, unknown>
  for (const name of ['cpu_percent', 'memory_percent', 'disk_percent', 'uptime_seconds', 'load_average_1m']) {
    assert.equal(typeof stats[name], 'number', name)
  }
  const ping = lab.server.pings.at(-1)
  assert.equal(ping?.boot_id, body?.boot_id)
  assert.equal(ping?.devices, undefined, 'devices only when they changed')
  assert.deepEqual(ping?.leases, [])
  assert.deepEqual(new Set(lab.server.keys), new Set(['a-shared-key-of-the-lab']))
  assert.deepEqual(lab.server.invalid, [])
})

test('a server that forgot the host is told again at once; a refusal waits for the next beat', async (t) => {
  const lab = await startLabWithAgent(t)
  const before = lab.server.registrations.length
  lab.server.mode = 'forgot'
  await until('it registered again', () => lab.server.registrations.length === before + 1)
  lab.server.mode = 403
  await until('beats are refused', beatCalls(lab.server.keys, 3))
  lab.server.mode = 'up'
  await until('beats go on', beats(lab, 2))
  assert.equal(lab.server.registrations.length, before + 1)
})

const beatCalls = (keys: unknown[], more: number): (() => boolean) => {
  const wanted = keys.length + more
  return () => keys.length >= wanted
}

test('a run ends while the server is away: its result, log and steps are there once it is back, once', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('slow.sh', 'echo one; sleep 1; echo two; exit 7\n')
  const order = lab.order('slow.sh')
  await lab.server.dispatch(order)
  const run = lab.server.run(order.run_id)
  await until('it runs', () => run.isStarted)
  await lab.server.goAway()
  await until('it ended meanwhile', () => lab.logText().includes('"msg":"run ended"'))
  await pause(1500)
  await lab.server.comeBack()
  await until('the result is there', () => run.results.length === 1)
  assert.deepEqual(run.lines, ['one', 'two'])
  assert.equal(run.results[0]?.result?.exit_code, 7)
  await until('beats go on', beats(lab, 2))
  assert.equal(run.results.length, 1)
  assert.equal(run.writesAfterResult, 0)
  await until('the lease is not renewed any more', () => lab.server.pings.at(-1)?.leases?.length === 0)
})

test('answers 500 to everything delay a result and do not lose it', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('quick.sh', 'echo done\n')
  const order = lab.order('quick.sh')
  await lab.server.dispatch(order)
  lab.server.mode = 500
  const run = lab.server.run(order.run_id)
  await until('it ended', () => lab.logText().includes('"msg":"run ended"'))
  const beatsBefore = lab.server.beatLeases.length
  await until('beats go on', () => lab.server.beatLeases.length > beatsBefore + 1)
  assert.equal(lab.server.beatLeases.at(-1)?.[0]?.run_id, order.run_id, 'the lease of an undelivered run is renewed')
  assert.equal(run.results.length, 0)
  lab.server.mode = 'up'
  await until('the result is there', () => run.results.length === 1)
  assert.deepEqual(run.lines, ['done'])
})

test('an order whose dispatch was lost is started from the answer to the beat; one that cannot run gets its result', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('quick.sh', 'echo done\n')
  const lost = lab.order('quick.sh')
  const impossible = lab.order('gone.sh', { device_id: 'device2' })
  lab.server.know(lost)
  lab.server.know(impossible)
  lab.server.ordersInBeat = [lost, impossible]
  await until('both have ended', () => [lost, impossible].every((one) => lab.server.run(one.run_id).results.length === 1))
  assert.equal(lab.server.run(lost.run_id).results[0]?.result?.outcome, 'passed')
  assert.equal(lab.server.run(impossible.run_id).results[0]?.result?.error_code, 'script_not_found')
})

test('a server that refuses a step or an artifact gets the rest and the result', async (t) => {
  const lab = await startLabWithAgent(t)
  await lab.script('files.sh', 'echo kept; echo data > "$VPT_ARTIFACTS_DIR/a.txt"; sleep 0.5\n')
  const order = lab.order('files.sh')
  const run = lab.server.know(order)
  run.refusesProgress = true
  await lab.server.dispatch(order)
  await until('the agent gave up what was refused', () => lab.logText().includes('artifact not accepted'))
  assert.ok(lab.logText().includes('progress refused'))
  await until('the result is there', () => run.results.length === 1)
  assert.equal(run.results[0]?.result?.stdout, 'kept\n')
})
