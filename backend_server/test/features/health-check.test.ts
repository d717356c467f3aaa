import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { DeviceHealth, DeviceHealthChange, Lease, Run, RunStep } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { inTransaction } from '../../src/db/database.ts'
import { firstRow } from '../../src/db/query.ts'
import { assignNextRun } from '../../src/features/runs/index.ts'
import { startLinkedAgent } from '../links/start-linked-lab.ts'
import { type Lab, startLab, until } from '../start-lab.ts'
import { addPerson, heldBy, leaseIdOf, type Person } from './person.ts'

/* Does a device work? The server asks by a run of its own, which holds the device and never takes it from anybody. */

const apiKey = 'shared-key-of-this-lab'
type Read = { run: Run; steps: RunStep[] }

function at(lab: Lab, who: Person, hostName: string) {
  const path = (device: string, what: string) => `/server/devices/${hostName}/${device}/${what}`
  const options = { token: who.token }
  const read = async (id: string): Promise<Read> => (await lab.get<Read>(`/server/runs/${id}`, options)).body
  return {
    check: (device: string) => lab.post<{ run_id: string; code?: string }>(path(device, 'check'), {}, options),
    health: async (device: string) =>
      (await lab.get<{ health: DeviceHealth; history: DeviceHealthChange[] }>(path(device, 'health'), options)).body,
    start: (device: string) =>
      lab.post('/server/script/execute', { host_name: hostName, device_id: device, script_name: 'zapping.ts' }, options),
    ended: (id: string): Promise<Read> =>
      until('the check has ended', async () => {
        const found = await read(id)
        return found.run.finished_at !== null && found
      }),
  }
}

const outcomes = (steps: readonly RunStep[]) => steps.map(({ name, outcome }) => [name, outcome])

async function realLab(t: TestContext) {
  const lab = await startLab(t, { env: { AUTH_MODE: 'required', API_KEY: apiKey }, hosts: 0 })
  const ann = await addPerson(lab, 'Ann')
  // The second device is a television that nobody can reach: port 1 of this machine.
  const env = { API_KEY: apiKey, DEVICE2_NAME: 'TV', DEVICE2_MODEL: 'android_tv', DEVICE2_IP: '127.0.0.1', DEVICE2_PORT: '1' }
  return { lab, ann, env }
}

for (const direction of ['url', 'link'] as const) {
  test(`data.md 4: a real simulated box is good and a device without a picture bad, host reached by its ${direction}`, async (t) => {
    const { lab, ann, env } = await realLab(t)
    const byUrl = { LINK: 'off', HOST_URL: '' }
    await startLinkedAgent(t, { serverUrl: lab.url, env: { ...env, ...(direction === 'url' && byUrl) } })
    const host = at(lab, ann, 'nat-1')
    await until('the host can be asked', async () => {
      const body = { host_name: 'nat-1', device_id: 'device1' }
      return (await lab.post('/server/power/getStatus', body, { token: ann.token })).status === 200
    })

    const begun = await host.check('device1')
    assert.equal(begun.status, 202, begun.text)
    const { run, steps } = await host.ended(begun.body.run_id)
    assert.deepEqual([run.kind, run.source, run.status, run.requested_by], ['health_check', 'manual', 'passed', 'Ann'])
    assert.deepEqual(outcomes(steps), [
      ['the host answers', 'passed'],
      ['the device gives a picture', 'passed'],
      ['its power can be read', 'passed'],
    ])
    const shown = `/server/runs/${run.id}/artifacts/${steps[1]?.screenshot_artifact_id}`
    const picture = await lab.get(shown, { token: ann.token })
    assert.deepEqual([picture.status, picture.headers.get('content-type')], [200, 'image/jpeg'])
    const good = await host.health('device1')
    assert.equal(good.health.state, 'good')
    assert.deepEqual(
      good.history.map(({ from_health, to_health, actor, run_id }) => [from_health, to_health, actor, run_id]),
      [['unknown', 'good', 'Ann', run.id]],
    )

    const second = await host.ended((await host.check('device2')).body.run_id)
    assert.deepEqual([second.run.status, second.run.failure_class], ['failed', 'device'])
    assert.deepEqual(outcomes(second.steps), [
      ['the host answers', 'passed'],
      ['the device gives a picture', 'failed'],
      ['its power can be read', 'skipped'],
    ])
    const { health } = await host.health('device2')
    assert.equal(health.state, 'bad')
    assert.match(health.reason ?? '', /gives a picture: .*no screenshot/)
    const refused = await host.start('device2')
    assert.deepEqual([refused.status, refused.body.code], [409, 'device_bad'])
    assert.match(String(refused.body.error), /no screenshot.*vpt check nat-1:device2/)
    const lease = { host_name: 'nat-1', device_id: 'device2' }
    assert.equal((await lab.post('/server/control/takeControl', lease, { token: ann.token })).status, 200, 'people may take it')
    const audit = await firstRow(
      lab.db,
      sql<{ target_id: string }>`select target_id from audit_log where action = 'device.check' order by id limit 1`,
    )
    assert.equal(audit?.target_id, 'nat-1:device1')
  })
}

async function fakeLab(t: TestContext) {
  const lab = await startLab(t, {
    env: { AUTH_MODE: 'required', API_KEY: apiKey },
    host: { apiKey, devices: 2, runMs: () => 600_000 },
    timings: { sweepMs: 100 },
  })
  const [ann, bob] = [await addPerson(lab, 'Ann'), await addPerson(lab, 'Bob')]
  const [fake] = lab.hosts
  assert.ok(fake)
  const { promise: answer, resolve } = Promise.withResolvers<undefined>()
  t.after(() => resolve(undefined))
  /** From now on the host is asked for pictures and does not answer. */
  const hang = () => {
    fake.calls.override = ({ path }) => (path === '/host/av/takeScreenshot' ? answer : undefined)
  }
  const asked = () => until('the host is asked', () => fake.calls.seen.some(({ path }) => path === '/host/av/takeScreenshot'))
  return { lab, ann, bob, fake, hang, asked, host: at(lab, ann, 'lab-1') }
}

test('a check takes no device away and is shown as who has it; by force it ends without a verdict, and a killed one by its limit', async (t) => {
  const { lab, ann, bob, hang, asked, host } = await fakeLab(t)
  await bob.take()
  const refused = await host.check('device1')
  assert.deepEqual([refused.status, refused.body.code], [423, 'device_locked'])
  assert.match(refused.text, /locked by Bob since/)
  const place = leaseIdOf(await ann.take('device1', { wait: true }))
  await bob.release()
  assert.equal((await host.check('device1')).status, 423, 'nor from who has waited for it')
  await ann.leave(place)
  const nowhere = await lab.post('/server/devices/lab-1/device9/check', {}, { token: ann.token })
  assert.deepEqual([nowhere.status, nowhere.body.code], [404, 'device_not_found'])

  hang()
  const first = await host.check('device1')
  await asked()
  const { status, health, holder } = await bob.holder()
  assert.deepEqual(
    [status, health.state, holder?.kind, holder?.name, holder?.purpose, holder?.run?.id, holder?.is_you],
    ['leased', 'unknown', 'health_check', 'health check', 'health check for Ann', first.body.run_id, false],
  )
  assert.ok(holder?.since && holder.until)
  const busy = await bob.take()
  assert.deepEqual([busy.status, busy.body.code, busy.body.locked_by_name], [423, 'device_locked', 'health check'])
  const forced = { host_name: 'lab-1', device_id: 'device1', reason: 'urgent' }
  assert.equal((await lab.post('/server/control/forceUnlock', forced, { token: bob.token })).status, 200)
  assert.equal((await host.ended(first.body.run_id)).run.status, 'cancelled')
  const again = await host.check('device1')
  await lab.post(`/server/runs/${again.body.run_id}/cancel`, {}, { token: ann.token })
  assert.equal((await host.ended(again.body.run_id)).run.status, 'cancelled')
  await heldBy(bob, null)

  const third = await host.check('device1')
  await sql`update runs set deadline_at = now() - interval '1 minute' where id = ${third.body.run_id}`.execute(lab.db.kysely)
  const { run } = await host.ended(third.body.run_id)
  assert.deepEqual([run.status, run.error_code], ['error', 'deadline'])
  await heldBy(bob, null)
  assert.equal((await host.health('device1')).health.state, 'unknown', 'nothing was found out')
  const { leases } = (await lab.get<{ leases: Lease[] }>('/server/leases?status=all', { token: ann.token })).body
  assert.equal(leases.filter(({ holder_kind }) => holder_kind === 'health_check').length, 3)
})

test('a host that cannot be asked says nothing of its device; a run that waits for a bad device holds up nobody, and one that the lab breaks makes a good one suspect', async (t) => {
  const { lab, ann, bob, fake, host } = await fakeLab(t)
  const broken = (path: string) => {
    fake.calls.override = (call) =>
      call.path === path ? { status: 500, body: { success: false, error: 'no signal' } } : undefined
  }
  broken('/host/system/health')
  const unasked = await host.ended((await host.check('device1')).body.run_id)
  assert.deepEqual([unasked.run.status, unasked.run.failure_class, unasked.steps.length], ['error', 'infrastructure', 1])
  assert.equal((await host.health('device1')).health.state, 'unknown')

  // It was asked for while the device was thought to work.
  const first = await host.start('device1')
  const target = { host_name: 'lab-1', device_id: 'device1', script_name: 'zapping.ts', queue: true }
  const queued = await lab.post<{ run_id: string }>('/server/script/execute', target, { token: ann.token })
  await sql`update devices set health = 'bad', health_reason = 'no signal' where device_key = 'device1'`.execute(lab.db.kysely)
  await fake.endRun(String(first.body.run_id))
  await heldBy(bob, null)
  assert.equal((await bob.take()).status, 200)
  await bob.release()
  const device = await firstRow(lab.db, sql<{ id: string }>`select id from devices where device_key = 'device1'`)
  const late = await inTransaction(lab.db, (tx) => assignNextRun(tx, device?.id ?? ''))
  assert.equal(late, undefined, 'nor does a server give it to a run that had read it as good')
  assert.equal((await lab.post('/server/script/execute', target, { token: ann.token })).body.code, 'device_bad')
  const retried = await lab.post(`/server/runs/${String(first.body.run_id)}/retry`, {}, { token: ann.token })
  assert.equal(retried.body.code, 'device_bad')
  fake.calls.override = undefined
  await host.ended((await host.check('device1')).body.run_id)
  assert.equal((await host.health('device1')).health.state, 'good')
  await until('the run that waited has the device', async () => (await bob.holder()).holder?.run?.id === queued.body.run_id)

  // What the lab breaks under a good device is a reason to look at it again.
  await fake.stopBeating()
  await fake.post('/server/system/unregister', { host_name: 'lab-1' })
  const { health, history } = await host.health('device1')
  assert.deepEqual([health.state, history[0]?.actor, history[0]?.run_id], ['suspect', 'zapping.ts', queued.body.run_id])
  assert.match(health.reason ?? '', /^host_lost: /)
})

test('a server that is asked to look at idle devices from time to time checks them by itself, bad ones not', async (t) => {
  const lab = await startLab(t, {
    env: { DEVICE_CHECK_HOURS: '24' },
    host: { devices: 2 },
    timings: { idleCheckMs: 200 },
    hosts: 0,
  })
  await lab.addHost()
  const runs = () =>
    lab
      .get<{ runs: Run[] }>('/server/runs?kind=health_check')
      .then(({ body }) => body.runs.filter((run) => run.finished_at !== null))
  const seen = await until('both are checked', async () => {
    const ended = await runs()
    return ended.length === 2 && ended
  })
  assert.deepEqual(
    seen.map(({ source, status, requested_by }) => [source, status, requested_by]),
    [
      ['health', 'passed', null],
      ['health', 'passed', null],
    ],
  )
  // As if their checks were old; the bad one is left alone, and the other one's check shows that the server has looked.
  await sql`update devices set health = 'bad' where device_key = 'device1'`.execute(lab.db.kysely)
  await sql`update devices set health_checked_at = now() - interval '2 days'`.execute(lab.db.kysely)
  await sql`update runs set queued_at = now() - interval '2 days'`.execute(lab.db.kysely)
  const third = await until('one is checked again', async () => {
    const ended = await runs()
    return ended.length === 3 && ended
  })
  assert.equal(third[0]?.device_id, 'device2')
})
