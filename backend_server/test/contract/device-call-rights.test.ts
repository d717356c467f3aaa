import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { type Answer, type Lab, startLab, until } from '../start-lab.ts'
import { assertEnvelope } from './raw-call.ts'

type Body = Record<string, unknown>
const target = { host_name: 'lab-1', device_id: 'device1' }
const pressOk = { command: 'press_key', params: { key: 'OK' } }

async function startTeamLab(t: Parameters<typeof startLab>[0], host: { batchMs?: number } = {}) {
  const lab = await startLab(t, { env: { AUTH_MODE: 'required' }, host: { browser: true, beatMs: 60_000, ...host } })
  const add = async (name: string, role: 'viewer' | 'tester' | 'admin') => {
    const { id, token } = await lab.addToken(name, role)
    return { id, post: (path: string, body: Body = {}) => lab.post(`/server/${path}`, { ...target, ...body }, { token }), token }
  }
  const [ann, bob, viewer, admin] = [
    await add('ann', 'tester'),
    await add('bob', 'tester'),
    await add('eve', 'viewer'),
    await add('root', 'admin'),
  ]
  return { lab, ann, bob, viewer, admin, calls: () => lab.hosts[0]?.calls.seen.length ?? 0 }
}

const lease = async (lab: Lab) =>
  (
    await sql<{ id: string; token: number; expires_at: string; last_activity_at: string }>`
      select id, token, expires_at, last_activity_at from leases where status = 'held'`.execute(lab.db.kysely)
  ).rows[0]

const audit = async (lab: Lab) =>
  (
    await sql<{ action: string; actor_id: string; target_id: string; details: Body }>`
      select action, actor_id, target_id, details from audit_log order by id`.execute(lab.db.kysely)
  ).rows

function assertLocked(answer: Answer): void {
  assertEnvelope(answer, 'locked')
  assert.deepEqual([answer.status, answer.body.code, answer.body.errorType], [423, 'device_locked', 'device_locked'])
  assert.equal(typeof answer.body.locked_by, 'string')
  assert.ok(Math.abs(Number(answer.body.locked_at) - Date.now() / 1000) < 30, 'since when')
}

const zap = (params: Body) => ({ command: 'DetectZapping', verification_type: 'video', userinterface_name: 'tv', params })

/** Path and body of calls that need the device. */
const changing: [string, Body][] = [
  ['remote/executeCommand', pressOk],
  ['remote/tapCoordinates', { x: 1, y: 1 }],
  ['power/executeCommand', { command: 'power_off' }],
  ['av/takeScreenshot', {}],
  ['av/saveScreenshot', { filename: 'a', userinterface_name: 'tv' }],
  ['action/executeBatch', { actions: [pressOk] }],
  ['action/execute', { action: pressOk }],
  ['builder/execute', { command: 'sleep' }],
  ['verification/executeBatch', { verifications: [zap({ key: 'POWER' })] }],
  ['verification/video/execute', { verification: zap({ key: 'POWER' }) }],
  ['system/restartHostStreamService', {}],
]
const reading: [string, Body][] = [
  ['remote/takeScreenshot', {}],
  ['remote/dumpUi', {}],
  ['av/getStreamUrl', {}],
  ['power/getStatus', {}],
  ['monitoring/latest-json', {}],
]

test('a device that somebody holds is 423 for others, with who and since when; reads go on', async (t) => {
  const { lab, ann, bob, viewer, calls } = await startTeamLab(t)
  assert.equal((await ann.post('control/takeControl')).status, 200)
  const before = calls()
  for (const [path, body] of changing) {
    const answer = await bob.post(path, body)
    assertLocked(answer)
    assert.equal(answer.body.locked_by, 'ann', 'the name of the token, never its id')
  }
  assert.equal(calls(), before, 'none of it reached the host')
  for (const [path, body] of reading) {
    for (const who of [ann, bob, viewer]) assert.equal((await who.post(path, body)).status, 200, path)
  }
  assert.equal((await bob.post('verification/video/execute', { verification: zap({}) })).status, 200, 'without a key it looks')
  for (const [path, body] of changing) {
    const answer = await ann.post(path, body)
    assert.equal(answer.status, 200, `${path} ${answer.text}`)
  }
  assert.equal((await ann.post('control/releaseControl')).status, 200)
  assert.equal((await bob.post('remote/executeCommand', pressOk)).status, 200, 'a free device is for everybody')
  assert.equal((await lab.get('/server/leases', { token: ann.token })).status, 200)
})

test('viewers read and change nothing', async (t) => {
  const { viewer } = await startTeamLab(t)
  for (const [path, body] of [...changing, ['web/openBrowser', {}], ['verification/image/saveImage', {}]] as [string, Body][]) {
    const answer = await viewer.post(path, body)
    assert.deepEqual([answer.status, answer.body.code], [403, 'forbidden'], path)
  }
})

test('the run of a person holds the device for that person', async (t) => {
  const { lab, ann, bob } = await startTeamLab(t)
  const [host] = lab.hosts
  assert.ok(host)
  host.options.runMs = () => 600_000
  const run = await ann.post('script/execute', { script_name: 'zapping.ts' })
  assert.equal(run.status, 202, run.text)
  assertLocked(await bob.post('remote/executeCommand', pressOk))
  assert.equal((await ann.post('remote/executeCommand', pressOk)).status, 200)
})

test('each call moves the lease on to five minutes, written at most every five seconds; calls of others do not', async (t) => {
  const { lab, ann, bob } = await startTeamLab(t, { batchMs: 600_000 })
  await ann.post('control/takeControl')
  const age = async (seconds: number) => {
    await sql`
      update leases set last_activity_at = now() - make_interval(secs => ${seconds}),
             expires_at = now() + make_interval(secs => ${300 - seconds}) where status = 'held'`.execute(lab.db.kysely)
    return Date.parse((await lease(lab))?.expires_at ?? '')
  }
  const left = async () => (Date.parse((await lease(lab))?.expires_at ?? '') - Date.now()) / 1000
  await age(200)
  await bob.post('remote/dumpUi')
  assert.ok((await left()) < 110, 'a call of somebody else is no sign of life')
  await ann.post('remote/executeCommand', pressOk)
  assert.ok((await left()) > 295 && (await left()) < 306, String(await left()))
  const written = await age(3)
  await ann.post('remote/executeCommand', pressOk)
  assert.equal(Date.parse((await lease(lab))?.expires_at ?? ''), written, 'a few seconds later nothing is written')
  await age(200)
  await ann.post('remote/takeScreenshot')
  assert.ok((await left()) > 295, 'a look of the holder counts')
  const batch = await ann.post('action/executeBatch', { actions: [pressOk] })
  await age(200)
  const poll = await lab.get(`/server/action/execution/${String(batch.body.execution_id)}/status`, { token: ann.token })
  assert.equal(poll.body.status, 'running')
  assert.ok((await left()) > 295, 'so does a poll')
})

test('who names the token of an ended lease is refused, whoever holds the device now', async (t) => {
  const { lab, ann, bob, calls } = await startTeamLab(t)
  await ann.post('control/takeControl')
  const token = (await lease(lab))?.token ?? 0
  assert.equal((await ann.post('remote/executeCommand', { ...pressOk, token })).status, 200)
  assert.equal(lab.hosts[0]?.calls.last('/host/remote/executeCommand').body.token, token, 'an agent gets the fence')
  await ann.post('control/releaseControl')
  await bob.post('control/takeControl')
  const before = calls()
  const answer = await ann.post('remote/executeCommand', { ...pressOk, token })
  assert.deepEqual([answer.status, answer.body.code], [409, 'stale_token'])
  await bob.post('control/releaseControl')
  assert.equal((await ann.post('remote/executeCommand', { ...pressOk, token })).status, 409)
  assert.equal(calls(), before)
})

test('what changes something is in the audit log, without what people typed; reads are not', async (t) => {
  const { lab, ann, viewer } = await startTeamLab(t)
  await viewer.post('remote/dumpUi')
  await ann.post('remote/executeCommand', { command: 'input_text', params: { text: 'my-secret-password' } })
  await ann.post('action/executeBatch', { actions: [pressOk, { command: 'input_text', params: { text: 'my-secret-password' } }] })
  await ann.post('web/navigateToUrl', { url: 'https://example.org/?key=my-secret-password' })
  const entries = (await audit(lab)).filter((one) => one.actor_id === ann.id || one.actor_id === viewer.id)
  assert.deepEqual(
    entries.map(({ action, actor_id, target_id, details }) => ({ action, who: actor_id === ann.id, target_id, details })),
    [
      {
        action: 'remote.executeCommand',
        who: true,
        target_id: 'lab-1:device1',
        details: { command: 'input_text', params: ['text'] },
      },
      {
        action: 'action.executeBatch',
        who: true,
        target_id: 'lab-1:device1',
        details: { main: ['press_key OK', 'input_text'], retry: [], failure: [] },
      },
      { action: 'web.navigateToUrl', who: true, target_id: 'lab-1:host', details: {} },
    ],
  )
  const everything = await sql<{ text: string }>`
    select concat((select string_agg(r::text, '') from runs r), (select string_agg(b::text, '') from batches b),
                  (select string_agg(s::text, '') from run_steps s), (select string_agg(e::text, '') from events e)) as text`.execute(
    lab.db.kysely,
  )
  assert.ok(!everything.rows[0]?.text.includes('my-secret-password'))
})

test('remote shells are for administrators, on hosts where one has allowed them, by every way there is', async (t) => {
  const { lab, ann, admin, calls } = await startTeamLab(t)
  const bash = { command: 'execute_bash_command', params: { command: 'uptime' } }
  const ways: [string, Body][] = [
    ['remote/executeCommand', bash],
    ['web/executeCommand', bash],
    ['desktop/pyautogui/executeCommand', { command: 'execute_pyautogui_launch', params: { app_name: 'xterm' } }],
    ['action/executeBatch', { actions: [pressOk, { ...bash, action_type: 'desktop' }] }],
    ['action/executeBatch', { actions: [pressOk], retry_actions: [bash] }],
    ['action/executeBatch', { actions: [pressOk], failure_actions: [bash] }],
    ['action/execute', { action: bash }],
    ['builder/execute', { command: 'custom_code', params: { code: 'print(1)' } }],
    ['verification/executeBatch', { verifications: [{ ...bash, userinterface_name: 'tv' }] }],
  ]
  const before = calls()
  assert.equal((await ann.post('desktop/bash/executeCommand', bash)).body.code, 'forbidden')
  for (const [path, body] of ways) assert.equal((await ann.post(path, body)).body.code, 'forbidden', path)
  for (const [path, body] of [...ways, ['desktop/bash/executeCommand', bash]] as [string, Body][]) {
    const answer = await admin.post(path, body)
    assert.deepEqual([answer.status, answer.body.code], [403, 'shell_forbidden'], path)
  }
  assert.equal(calls(), before)

  const allow = (token: string, allowed: boolean) =>
    lab.call('PUT', '/server/hosts/lab-1/shell', { body: { allowed, reason: 'repair' }, token })
  assert.equal((await allow(ann.token, true)).status, 403)
  assert.equal((await allow(admin.token, true)).status, 200)
  assert.equal((await ann.post('desktop/bash/executeCommand', bash)).status, 403, 'still for administrators only')
  const answer = await admin.post('desktop/bash/executeCommand', { ...bash, device_id: 'host' })
  assert.deepEqual([answer.status, answer.body.output, answer.body.exit_code], [200, 'hello\n', 0])
  const entries = (await audit(lab)).filter((one) => one.actor_id === admin.id)
  assert.deepEqual(
    entries.map(({ action, details }) => [action, details]),
    [
      ['host.shell_allowed', {}],
      ['desktop.bash.executeCommand', { command: 'execute_bash_command', params: ['command'], shell: 'uptime' }],
    ],
  )
  assert.equal((await allow(admin.token, false)).status, 200)
  assert.equal((await admin.post('desktop/bash/executeCommand', bash)).body.code, 'shell_forbidden')
})

test('the protocol where login is off: only the taking is refused, the web app sends no identity with its calls', async (t) => {
  const lab = await startLab(t, { env: { TRUSTED_PROXIES: '1' } })
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
  assert.equal((await lab.post('/server/control/takeControl', { ...target, user_id: 'ann' }, from('10.0.0.1'))).status, 200)
  const take = await lab.post('/server/control/takeControl', { ...target, user_id: 'bob' }, from('10.0.0.2'))
  assert.equal(take.status, 423)
  assert.equal((await lab.post('/server/remote/executeCommand', { ...target, ...pressOk }, from('10.0.0.1'))).status, 200)
  assert.equal((await lab.post('/server/remote/executeCommand', { ...target, ...pressOk }, from('10.0.0.2'))).status, 200)
  await until('the lease is still the first one’s', async () => (await lease(lab)) !== undefined)
})
