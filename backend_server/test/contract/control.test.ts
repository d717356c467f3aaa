import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Lab, startLab, until } from '../start-lab.ts'
import { assertEnvelope } from './raw-call.ts'
import { type ScriptedAnswer, startScriptedHost } from './scripted-host.ts'
import { boxHost, webHost } from './wire-examples.ts'

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const apiKey = 'shared-key-of-this-lab'
const proxied = { TRUSTED_PROXIES: '1' }
type Body = Record<string, unknown>

/** Control calls of one person at one address. */
function person(lab: Lab, address: string, identity: Body) {
  const headers = { 'x-forwarded-for': address }
  const call = (name: string) => (body: Body) => lab.post(`/server/control/${name}`, { ...identity, ...body }, { headers })
  return { take: call('takeControl'), release: call('releaseControl'), check: call('checkLock'), unlock: call('forceUnlock') }
}

const locked = async (lab: Lab) =>
  (await lab.get<{ locked_devices: Record<string, Body> }>('/server/control/lockedDevices')).body.locked_devices

test('api-core.md 3: takeControl, checkLock, lockedDevices, releaseControl', async (t) => {
  const lab = await startLab(t, { env: proxied, host: { devices: 2 } })
  const ann = person(lab, '10.0.0.1', { user_id: 'ann', session_id: 'session-of-ann' })
  const bob = person(lab, '10.0.0.2', { user_id: 'bob' })
  const device = { host_name: 'lab-1', device_id: 'device1' }

  await t.test('nothing is locked', async () => {
    assert.deepEqual((await ann.check(device)).body, { success: true, is_locked: false, lock_info: null })
    assert.deepEqual(await locked(lab), {})
    const release = await ann.release(device)
    assert.deepEqual([release.status, release.body.success, release.body.host_notification], [200, true, 'in_progress'])
  })

  await t.test('taking a device answers what the host said, and with the session that was sent', async () => {
    const answer = await ann.take(device)
    assert.equal(answer.status, 200, answer.text)
    const { leases, message, ...rest } = answer.body
    assert.deepEqual(rest, {
      success: true,
      session_id: 'session-of-ann',
      host_name: 'lab-1',
      device_id: 'device1',
      host_result: { success: true, available_controllers: ['av', 'remote'] },
      cache_ready: true,
      warning: null,
    })
    assert.equal(typeof message, 'string')
    assert.equal((leases as Body[]).length, 1)
    assert.match(String((await person(lab, '10.0.0.1', {}).take(device)).body.session_id), uuid, 'without one it gets a new one')
  })

  await t.test('who looks sees the lock, under both keys', async () => {
    const { body } = await bob.check(device)
    const info = body.lock_info as Body
    assert.equal(body.is_locked, true)
    assert.deepEqual(Object.keys(info).sort(), ['isLocked', 'lockedAt', 'lockedBy', 'lockedByName', 'lockedDuration', 'lockedIp'])
    assert.deepEqual([info.isLocked, info.lockedBy], [true, 'ann'])
    assert.ok(Math.abs(Number(info.lockedAt) - Date.now() / 1000) < 30, 'epoch seconds')
    assert.ok(Number(info.lockedDuration) >= 0 && Number(info.lockedDuration) < 30, 'seconds')
    const all = await locked(lab)
    assert.deepEqual(Object.keys(all).sort(), ['lab-1', 'lab-1:device1'])
    for (const entry of Object.values(all)) {
      assert.deepEqual(Object.keys(entry).sort(), [
        'deviceId',
        'hostName',
        'lockedAt',
        'lockedBy',
        'lockedByName',
        'lockedDuration',
        'lockedIp',
      ])
      assert.deepEqual([entry.lockedBy, entry.hostName, entry.deviceId, entry.lockedIp], ['ann', 'lab-1', 'device1', '10.0.0.1'])
    }
    assert.equal((await bob.check({ host_name: 'lab-1' })).body.is_locked, true)
    assert.equal((await bob.check({ host_name: 'lab-1', device_id: 'device2' })).body.is_locked, false)
    assert.equal((await bob.check({ host_name: 'nobody' })).body.is_locked, false)
  })

  await t.test('another person gets 423 with the holder, for the device and for the whole host', async () => {
    for (const target of [device, { host_name: 'lab-1' }]) {
      const answer = await bob.take(target)
      assert.equal(answer.status, 423, answer.text)
      assertEnvelope(answer, 'takeControl')
      assert.deepEqual(
        [answer.body.code, answer.body.errorType, answer.body.locked_by, answer.body.locked_ip],
        ['device_locked', 'device_locked', 'ann', '10.0.0.1'],
      )
      assert.ok(Math.abs(Number(answer.body.locked_at) - Date.now() / 1000) < 30)
    }
    assert.deepEqual(Object.keys(await locked(lab)).sort(), ['lab-1', 'lab-1:device1'], 'all devices or none')
    const execute = await lab.post(
      '/server/script/execute',
      { ...device, script_name: 'zapping.ts', user_id: 'bob' },
      { headers: { 'x-forwarded-for': '10.0.0.2' } },
    )
    assert.deepEqual([execute.status, execute.body.errorType, execute.body.locked_by], [423, 'device_locked', 'ann'])
  })

  await t.test('only the owner gives it back', async () => {
    const refused = await bob.release(device)
    assert.deepEqual([refused.status, refused.body.success], [200, false])
    assert.match(String(refused.body.error), /ann/)
    assert.equal((await bob.check(device)).body.is_locked, true)
    const released = await ann.release(device)
    assert.deepEqual([released.body.success, released.body.host_notification], [true, 'in_progress'])
    assert.deepEqual(await locked(lab), {})
    const gone = await ann.release({ host_name: 'nobody' })
    assert.deepEqual([gone.status, gone.body.success, gone.body.host_notification], [200, true, 'host_not_found'])
  })

  await t.test('without device_id all devices of the host are taken, released and unlocked', async () => {
    const taken = await bob.take({ host_name: 'lab-1' })
    assert.equal(taken.status, 200, taken.text)
    assert.deepEqual((taken.body.leases as Body[]).map((lease) => String(lease.device_id)).sort(), ['device1', 'device2'])
    assert.equal(taken.body.device_id, null)
    assert.deepEqual(Object.keys(await locked(lab)).sort(), ['lab-1', 'lab-1:device1', 'lab-1:device2'])
    await bob.release({ host_name: 'lab-1' })
    assert.deepEqual(await locked(lab), {})

    await bob.take({ host_name: 'lab-1' })
    const one = await ann.unlock({ host_name: 'lab-1', device_id: 'device2' })
    assert.deepEqual([one.status, one.body.success], [200, true])
    assert.deepEqual(Object.keys(await locked(lab)).sort(), ['lab-1', 'lab-1:device1'])
    assert.equal((await ann.unlock({ host_name: 'lab-1' })).body.success, true)
    assert.deepEqual(await locked(lab), {})
    const nothing = await ann.unlock({ host_name: 'lab-1' })
    assert.deepEqual([nothing.status, nothing.body.success], [200, true], 'nothing locked is no failure')
  })

  await t.test('the same address takes over while login is off', async () => {
    await ann.take(device)
    const colleague = person(lab, '10.0.0.1', { user_id: 'someone else' })
    assert.equal((await colleague.take(device)).status, 200)
    assert.equal((await locked(lab))['lab-1:device1']?.lockedBy, 'someone else', 'the web app must recognize its own lock')
    assert.equal((await person(lab, '10.0.0.1', {}).take(device)).status, 200)
    assert.equal((await locked(lab))['lab-1:device1']?.lockedBy, 'someone else', 'a call that names nobody changes no name')
    assert.equal((await colleague.release(device)).body.success, true)
  })

  await t.test('a tree that the server does not have is said, not passed over', async () => {
    const answer = await ann.take({ ...device, tree_id: 'a-tree' })
    assert.deepEqual([answer.status, answer.body.cache_ready], [200, false])
    assert.match(String(answer.body.warning), /no navigation trees/)
    const noTree = await ann.take({ ...device, userinterface_id: 'an-interface' })
    assert.deepEqual([noTree.body.cache_ready, noTree.body.warning], [true, null], 'no tree for that interface is success')
    await ann.release(device)
  })

  await t.test('unknown and missing names', async () => {
    const cases: [Body, number, string | undefined][] = [
      [{}, 400, undefined],
      [{ host_name: 'nobody' }, 404, 'device_not_found'],
      [{ host_name: 'lab-1', device_id: 'device9' }, 404, 'device_not_found'],
    ]
    for (const [body, status, errorType] of cases) {
      const answer = await ann.take(body)
      assert.deepEqual([answer.status, answer.body.errorType], [status, errorType], answer.text)
      assertEnvelope(answer, 'takeControl')
    }
    assert.equal((await ann.take({})).body.error, 'Missing required fields: host_name')
    for (const call of [ann.release, ann.check, ann.unlock]) assert.equal((await call({})).status, 400)
    assert.equal((await ann.unlock({ host_name: 'nobody' })).status, 404)
  })
})

test('R6: with login on, the token is the owner and addresses count for nothing', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { AUTH_MODE: 'required', API_KEY: apiKey } })
  const { token: admin } = await lab.addTeam('team a')
  const issued = await lab.post<{ key: string }>('/server/hosts', { host_name: 'lab-1' }, { token: admin })
  await lab.addHost({ name: 'lab-1', apiKey: issued.body.key })
  const create = async (name: string, role: string) =>
    String((await lab.post('/server/tokens', { name, role }, { token: admin })).body.token)
  const ann = await create('ann', 'tester')
  const bob = await create('bob', 'tester')
  const viewer = await create('viewer', 'viewer')
  const device = { host_name: 'lab-1', device_id: 'device1' }
  const call = (name: string, token: string, body: Body = device) => lab.post(`/server/control/${name}`, body, { token })

  assert.equal((await call('takeControl', ann, { ...device, user_id: 'x' })).status, 200)
  assert.equal((await call('takeControl', bob, { ...device, user_id: 'x' })).status, 423, 'a user id in the body proves nothing')
  assert.equal((await call('takeControl', viewer)).status, 403)
  assert.equal((await call('releaseControl', bob)).body.success, false)
  assert.equal((await call('forceUnlock', viewer)).status, 403)
  const seenBy = async (token: string) =>
    (await lab.get<{ locked_devices: Record<string, Body> }>('/server/control/lockedDevices', { token })).body.locked_devices[
      'lab-1'
    ]?.lockedIp
  assert.deepEqual([await seenBy(viewer), await seenBy(bob)], [null, null], 'addresses are for administrators and the owner')
  assert.deepEqual([await seenBy(admin), await seenBy(ann)], ['127.0.0.1', '127.0.0.1'])
  const infoFor = async (token: string) => ((await call('checkLock', token)).body.lock_info as Body).lockedIp
  assert.deepEqual([await infoFor(viewer), await infoFor(ann)], [null, '127.0.0.1'])
  assert.equal((await call('forceUnlock', bob)).status, 200)
  assert.equal((await call('takeControl', bob)).status, 200)
})

test('hosts.md 7: how failures of a host are answered; every one gives the lease back', async (t) => {
  let next: ScriptedAnswer | 'hang up' = { status: 200, body: { success: true, warning: 'no remote' } }
  const host = await startScriptedHost(t, () => next)
  const lab = await startLab(t, { hosts: 0, env: { API_KEY: apiKey } })
  const device = { host_name: boxHost.host_name, device_id: 'device1' }
  await lab.post('/server/system/register', { ...boxHost, host_api_url: host.url })
  const take = () => lab.post('/server/control/takeControl', device)

  const good = await take()
  assert.deepEqual([good.status, good.body.warning], [200, 'no remote'], 'the web app shows the warning')
  await lab.post('/server/control/releaseControl', device)
  await until('the host is told in the background', () => host.seen.some((one) => one.path === '/host/releaseControl'))

  const failures: {
    what: string
    says: ScriptedAnswer | 'hang up'
    status: number
    code: string
    errorType: string
    error: RegExp
  }[] = [
    {
      what: 'refuses our key',
      says: { status: 401, body: { error: 'Invalid API key', message: 'Authentication failed' } },
      status: 502,
      code: 'host_error',
      errorType: 'host_error',
      error: /API_KEY differs/,
    },
    {
      what: 'does not know the device',
      says: { status: 404, body: { success: false, error: 'Device device1 not found', available_capabilities: [] } },
      status: 404,
      code: 'host_error',
      errorType: 'host_error',
      error: /Device device1 not found/,
    },
    {
      what: 'fails',
      says: { status: 500, body: { success: false, error: 'boom' } },
      status: 500,
      code: 'host_error',
      errorType: 'host_error',
      error: /boom/,
    },
    {
      what: 'says no with status 200',
      says: { status: 200, body: { success: false, error: 'not now' } },
      status: 502,
      code: 'host_error',
      errorType: 'host_error',
      error: /not now/,
    },
    {
      what: 'answers a page',
      says: { status: 500, text: `<html>${'x'.repeat(600)}` },
      status: 500,
      code: 'host_error',
      errorType: 'host_error',
      error: /^Invalid JSON response from host$/,
    },
    {
      what: 'answers a page with 200',
      says: { status: 200, text: 'welcome' },
      status: 502,
      code: 'host_error',
      errorType: 'host_error',
      error: /^Invalid JSON response from host$/,
    },
    {
      what: 'answers a list',
      says: { status: 200, text: '[]' },
      status: 502,
      code: 'host_error',
      errorType: 'host_error',
      error: /Invalid JSON/,
    },
    {
      what: 'hangs up',
      says: 'hang up',
      status: 503,
      code: 'host_unreachable',
      errorType: 'network_error',
      error: /^Could not connect to host: /,
    },
  ]
  for (const { what, says, status, code, errorType, error } of failures) {
    await t.test(`the host ${what}`, async () => {
      next = says
      const answer = await take()
      assert.deepEqual([answer.status, answer.body.code, answer.body.errorType], [status, code, errorType], answer.text)
      assert.match(String(answer.body.error), error)
      assert.equal(typeof answer.body.host_result, 'object', 'host_result stands beside every failure')
      assertEnvelope(answer, what)
      assert.doesNotMatch(answer.text, new RegExp(apiKey))
      if (says !== 'hang up' && says.text) assert.equal(answer.body.raw_response, says.text.slice(0, 500))
      assert.deepEqual(await locked(lab), {})
    })
  }

  await t.test('the host is gone', async () => {
    await host.stop()
    const answer = await take()
    assert.deepEqual([answer.status, answer.body.code, answer.body.errorType], [503, 'host_unreachable', 'network_error'])
    assert.deepEqual(await locked(lab), {})
    await lab.post('/server/system/unregister', { host_name: boxHost.host_name })
    const offline = await take()
    assert.deepEqual([offline.status, offline.body.code, offline.body.errorType], [503, 'host_offline', 'network_error'])
    assertEnvelope(offline, 'takeControl')
  })
})

test('a host without device1 is asked for a device that it has', async (t) => {
  const host = await startScriptedHost(t, () => ({ status: 200, body: { success: true } }))
  const lab = await startLab(t, { hosts: 0 })
  await lab.post('/server/system/register', { ...webHost, host_api_url: host.url })
  assert.equal((await lab.post('/server/control/takeControl', { host_name: webHost.host_name })).status, 200)
  assert.equal(host.seen[0]?.body.device_id, 'host')
})
