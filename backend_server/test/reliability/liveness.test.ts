// Promise N2 and section 5 of the host protocol: who is alive is decided by beats and pings, and by nothing else.
// Cuts: beats of agents, pings of original hosts; the time is moved in the rows. Judge: the listing, the runs and the leases
// as everybody sees them. Takes about 15 s.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Run } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { markHostsOfflineJob } from '../../src/features/hosts/index.ts'
import { FakeHost } from '../fakes/fake-host.ts'
import { type Lab, startLab, until } from '../start-lab.ts'
import { readHistory } from './history.ts'

interface ListedHost {
  host_name: string
  status: string
  devices: { device_id: string }[]
}

async function listed(lab: Lab, name: string): Promise<ListedHost | undefined> {
  const { hosts } = (await lab.get<{ hosts: ListedHost[] }>('/server/system/getAllHosts')).body
  return hosts.find((host) => host.host_name === name)
}
const isListedAs = (lab: Lab, name: string, status: string) =>
  until(`${name} is ${status}`, async () => (await listed(lab, name))?.status === status)
async function silentFor(lab: Lab, name: string, seconds: number): Promise<void> {
  await sql`update hosts set last_seen_at = now() - make_interval(secs => ${seconds}) where name = ${name}`.execute(lab.db.kysely)
}
/** One round of the job on a server that has been ready for this long: the patience counts from there too. */
async function lookForSilentHosts(lab: Lab, readySeconds: number): Promise<void> {
  const { rows } = await sql<{ term: number }>`select term from leader_leases`.execute(lab.db.kysely)
  const job = markHostsOfflineJob({ everyMs: 1, graceSeconds: 0 })
  const { signal } = new AbortController()
  await job.run({ db: lab.db, log: lab.server.http.log, term: rows[0]?.term ?? 0, signal, readySeconds })
}
const readRun = async (lab: Lab, id: string): Promise<Run> => (await lab.get<{ run: Run }>(`/server/runs/${id}`)).body.run
async function execute(lab: Lab, hostName: string, more: object = {}): Promise<string> {
  const body = { host_name: hostName, device_id: 'device1', script_name: 'demo', ...more }
  const submitted = await lab.post<{ run_id: string }>('/server/script/execute', body)
  assert.equal(submitted.status, 202, submitted.text)
  return submitted.body.run_id
}

test('an agent is offline after three beats, stays listed, and is back with its next beat', async (t) => {
  const lab = await startLab(t, { hosts: 1, host: { devices: 2, beatMs: 10_000 } })
  const [host] = lab.hosts
  assert.ok(host)
  await host.stopBeating()
  await silentFor(lab, 'lab-1', 28)
  await lookForSilentHosts(lab, 1000)
  assert.equal((await listed(lab, 'lab-1'))?.status, 'online', 'two beats and a bit are no reason')
  await silentFor(lab, 'lab-1', 31)
  await lookForSilentHosts(lab, 29)
  assert.equal((await listed(lab, 'lab-1'))?.status, 'online', 'the host could not beat before the server was there')
  await lookForSilentHosts(lab, 31)
  await isListedAs(lab, 'lab-1', 'offline')
  assert.equal((await listed(lab, 'lab-1'))?.devices.length, 2)
  const target = { host_name: 'lab-1', device_id: 'device1' }
  const refused = await lab.post<{ code: string }>('/server/control/takeControl', { ...target, user_id: 'ann' })
  assert.deepEqual([refused.status, refused.body.code], [503, 'host_offline'])
  const waiting = await execute(lab, 'lab-1', { queue: true })
  assert.equal((await readRun(lab, waiting)).status, 'queued', 'a run may wait for a host that is away')
  await host.beat()
  assert.equal((await listed(lab, 'lab-1'))?.status, 'online')
  await until('the waiting run is done', async () => (await readRun(lab, waiting)).status === 'passed')
})

test('an original host is offline after 660 s, and its run goes on', async (t) => {
  const lab = await startLab(t, { hosts: 1, host: { original: true, runMs: () => 600_000 } })
  const id = await execute(lab, 'lab-1')
  await until('the run goes on', async () => (await readRun(lab, id)).status === 'running')
  await silentFor(lab, 'lab-1', 655)
  await lookForSilentHosts(lab, 1000)
  assert.equal((await listed(lab, 'lab-1'))?.status, 'online')
  await silentFor(lab, 'lab-1', 661)
  await lookForSilentHosts(lab, 659)
  assert.equal((await listed(lab, 'lab-1'))?.status, 'online')
  await lookForSilentHosts(lab, 661)
  await isListedAs(lab, 'lab-1', 'offline')
  assert.equal((await readRun(lab, id)).status, 'running', 'an original host that is merely silent may be at work')
  await lab.hosts[0]?.endRun(id)
  await until('its callback ends the run', async () => (await readRun(lab, id)).status === 'passed')
  const ping = await lab.post('/server/system/ping', { host_name: 'lab-1' })
  assert.equal(ping.status, 200)
  assert.equal((await listed(lab, 'lab-1'))?.status, 'online')
  assert.deepEqual((await readHistory(lab.db)).problems, [])
})

test('R4, N8: in its first 60 s a server takes nobody for dead', async (t) => {
  const lab = await startLab(t, { hosts: 2, timings: { graceSeconds: 60 }, host: { beatMs: 10_000, runMs: () => 60_000 } })
  const id = await execute(lab, 'lab-1')
  await until('the run goes on', async () => (await readRun(lab, id)).status === 'running')
  await Promise.all(lab.hosts.map((host) => host.stopBeating()))
  await silentFor(lab, 'lab-1', 1200)
  await silentFor(lab, 'lab-2', 1200)
  await sql`update runs set alive_until = now() - interval '20 minutes'`.execute(lab.db.kysely)
  await sql`update leases set expires_at = now() - interval '20 minutes' where status = 'held'`.execute(lab.db.kysely)
  await pause(3000)
  assert.equal((await listed(lab, 'lab-1'))?.status, 'online')
  assert.equal((await readRun(lab, id)).status, 'running')
  await lab.hosts[0]?.beat()
  const { leases } = (await lab.get<{ leases: { expires_at: string }[] }>('/server/leases')).body
  assert.ok(leases[0] && Date.parse(leases[0].expires_at) > Date.now() + 20_000, 'the first beat renews the lease')
})

test('an agent whose beats stop is found by the server itself', async (t) => {
  const lab = await startLab(t, { hosts: 1, host: { beatMs: 1000 } })
  await lab.hosts[0]?.stopBeating()
  const from = performance.now()
  await isListedAs(lab, 'lab-1', 'offline')
  assert.ok(performance.now() - from > 2000, 'one missed beat is no reason')
})

test('a host that unregisters is offline at once, and its runs and leases end', async (t) => {
  const lab = await startLab(t, { hosts: 1, host: { devices: 2, runMs: () => 60_000 } })
  const once = await execute(lab, 'lab-1')
  const taken = await lab.post('/server/control/takeControl', { host_name: 'lab-1', device_id: 'device2', user_id: 'ann' })
  assert.equal(taken.status, 200, taken.text)
  const again = await execute(lab, 'lab-1', { device_id: 'device2', user_id: 'ann', retries: 1 })
  await until(
    'both runs go on',
    async () => (await readRun(lab, once)).status === 'running' && (await readRun(lab, again)).status === 'running',
  )
  await lab.hosts[0]?.stopBeating()
  const left = await lab.post('/server/system/unregister', { host_name: 'lab-1', timestamp: Date.now() / 1000 })
  assert.equal(left.status, 200, left.text)
  assert.equal((await listed(lab, 'lab-1'))?.status, 'offline')
  for (const id of [once, again]) assert.equal((await readRun(lab, id)).error_code, 'host_lost')
  assert.deepEqual((await lab.get<{ leases: unknown[] }>('/server/leases')).body.leases, [])
  const { runs } = (await lab.get<{ runs: Run[] }>('/server/runs?status=open')).body
  assert.deepEqual(
    runs.map((run) => [run.retry_of, run.status]),
    [[again, 'queued']],
  )
  assert.equal((await lab.post('/server/system/unregister', { host_name: 'nobody' })).status, 404)
  assert.deepEqual((await readHistory(lab.db)).problems, [])
})

test('a device that a ping brings can be taken, and one that comes back too', async (t) => {
  const lab = await startLab(t, { hosts: 1, host: { original: true } })
  const [host] = lab.hosts
  assert.ok(host)
  const [first] = host.registration().devices
  assert.ok(first)
  const second = { ...first, device_id: 'device2', device_name: 'new box' }
  const take = async (device_id: string) =>
    (await lab.post('/server/control/takeControl', { host_name: 'lab-1', device_id, user_id: 'ann' })).status
  const ping = (devices: object[]) => lab.post('/server/system/ping', { host_name: 'lab-1', devices })
  assert.equal(await take('device2'), 404)
  assert.equal((await ping([first, second])).status, 200)
  assert.equal(await take('device2'), 200)
  assert.equal((await lab.post('/server/control/releaseControl', { host_name: 'lab-1', user_id: 'ann' })).status, 200)
  assert.equal((await ping([first])).status, 200)
  assert.equal(await take('device2'), 404)
  assert.equal((await ping([first, second])).status, 200)
  assert.equal(await take('device2'), 200)
})

test('a host that cannot be called is shown as unreachable until its next ping', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const host = await new FakeHost({ name: 'lab-1', serverUrl: () => lab.url, original: true }).start()
  await host.kill()
  const refused = await lab.post<{ code: string }>('/server/control/takeControl', { host_name: 'lab-1', device_id: 'device1' })
  assert.deepEqual([refused.status, refused.body.code], [503, 'host_unreachable'])
  await isListedAs(lab, 'lab-1', 'unreachable')
  const { leases } = (await lab.get<{ leases: unknown[] }>('/server/leases')).body
  assert.deepEqual(leases, [], 'a device whose host does not answer is given back')
  await lab.post('/server/system/ping', { host_name: 'lab-1' })
  await isListedAs(lab, 'lab-1', 'online')
})

test('N1: a device that is given back during a borrowed run stays with the run until its end', async (t) => {
  const lab = await startLab(t, { hosts: 1, host: { runMs: () => 600_000 } })
  const target = { host_name: 'lab-1', device_id: 'device1' }
  const take = (user_id: string) => lab.post<{ locked_by?: string }>('/server/control/takeControl', { ...target, user_id })
  assert.equal((await take('ann')).status, 200)
  const id = await execute(lab, 'lab-1', { user_id: 'ann' })
  await until('the run goes on', async () => (await readRun(lab, id)).status === 'running')
  assert.equal((await lab.post('/server/control/releaseControl', { ...target, user_id: 'ann' })).body.success, true)
  const refused = await take('bob')
  assert.deepEqual([refused.status, refused.body.locked_by], [423, id])
  await lab.hosts[0]?.endRun(id)
  await until('the run is done', async () => (await readRun(lab, id)).status === 'passed')
  assert.equal((await take('bob')).status, 200)
  assert.deepEqual((await readHistory(lab.db)).problems, [])
})

test('N1: when a device is taken away, its run ends and its host is told at once', async (t) => {
  const lab = await startLab(t, { hosts: 1, host: { beatMs: 10_000, runMs: () => 60_000 } })
  const id = await execute(lab, 'lab-1', { retries: 2 })
  await until('the run goes on', async () => (await readRun(lab, id)).status === 'running')
  const unlocked = await lab.post('/server/control/forceUnlock', { host_name: 'lab-1', reason: 'needed' })
  assert.equal(unlocked.status, 200, unlocked.text)
  assert.equal((await readRun(lab, id)).status, 'cancelled')
  await until('the host was told', () => lab.hosts[0]?.ledger.some((entry) => entry.event === 'cancelled'))
  await until('its late result was refused', () => lab.hosts[0]?.ledger.some((entry) => entry.event === 'result_refused'))
  const { runs } = (await lab.get<{ runs: Run[] }>('/server/runs')).body
  assert.deepEqual(
    runs.map((run) => run.status),
    ['cancelled'],
    'what people take away is not tried again',
  )
  assert.deepEqual((await readHistory(lab.db)).problems, [])
})
