import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ApiError, type HeartbeatAnswer, type LeaseAsk, leaseSeconds } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { io, type Socket } from 'socket.io-client'
import { type Lab, startLab, until } from '../start-lab.ts'
import { addPerson, leaseIdOf } from './person.ts'

const apiKey = 'shared-key-of-this-lab'

function openTab(t: TestContext, lab: Lab, token: string): Socket {
  const socket = io(lab.url, { path: '/server/socket.io', auth: { token }, transports: ['websocket'], forceNew: true })
  t.after(() => socket.disconnect())
  return socket
}
const hold = (tab: Socket, leaseId: string): Promise<HeartbeatAnswer | ApiError> =>
  tab.timeout(60_000).emitWithAck('hold', { lease_id: leaseId }) as Promise<HeartbeatAnswer | ApiError>

const endOf = async (lab: Lab, leaseId: string): Promise<number> =>
  (
    await sql<{ at: number }>`select extract(epoch from expires_at)::float8 as at from leases where id = ${leaseId}`.execute(
      lab.db.kysely,
    )
  ).rows[0]?.at ?? Number.NaN

const secondsLeft = async (lab: Lab, leaseId: string): Promise<number> =>
  (
    await sql<{
      left: number
    }>`select extract(epoch from expires_at - now())::float8 as left from leases where id = ${leaseId}`.execute(lab.db.kysely)
  ).rows[0]?.left ?? Number.NaN

test('N2: a lease whose browser tab is gone ends 45 s after its last sign, without a tab it has its 5 min', async (t) => {
  const lab = await startLab(t, {
    env: { AUTH_MODE: 'required', API_KEY: apiKey },
    host: { apiKey, devices: 2 },
    timings: { heartbeatMs: 500, sweepMs: 500 },
  })
  const [ann, bob, eve] = [await addPerson(lab, 'Ann'), await addPerson(lab, 'Bob'), await addPerson(lab, 'Eve', 'viewer')]
  const [lease, other] = [leaseIdOf(await ann.take('device1')), leaseIdOf(await bob.take('device2'))]
  assert.ok((await secondsLeft(lab, lease)) > leaseSeconds.heartbeat + 200, 'a client that has no heartbeats has 5 min')
  const tab = openTab(t, lab, ann.token)
  const held = await hold(tab, lease)
  assert.equal(held.success, true, JSON.stringify(held))
  await until('the lease lives by the tab', async () => (await secondsLeft(lab, lease)) <= leaseSeconds.heartbeat)
  assert.equal(((await hold(openTab(t, lab, eve.token), lease)) as ApiError).code, 'forbidden')
  assert.equal(((await hold(openTab(t, lab, bob.token), lease)) as ApiError).code, 'forbidden', 'the lease of somebody else')
  const first = await endOf(lab, lease)
  await until('the open tab renews it', async () => (await endOf(lab, lease)) > first)

  tab.disconnect()
  const from = performance.now()
  await until('the device is free', async () => (await bob.holder('device1')).holder === null, 120_000)
  const seconds = (performance.now() - from) / 1000
  t.diagnostic(`device free ${seconds.toFixed(1)} s after the tab was closed`)
  assert.ok(seconds > leaseSeconds.heartbeat - 15 && seconds < leaseSeconds.heartbeat + 30, `${seconds} s`)
  assert.equal((await bob.holder('device2')).holder?.lease_id, other)
})

test('N8: a server that was away ends no lease in its time of grace; the tab comes back and goes on; a question and a revoked lease tell the tab', async (t) => {
  const lab = await startLab(t, {
    env: { AUTH_MODE: 'required', API_KEY: apiKey },
    host: { apiKey },
    timings: { heartbeatMs: 200, sweepMs: 100, graceSeconds: 8 },
  })
  const ann = await addPerson(lab, 'Ann')
  const lease = leaseIdOf(await ann.take())
  const tab = openTab(t, lab, ann.token)
  await hold(tab, lease)
  tab.disconnect()
  await sql`update leases set expires_at = now() - interval '20 minutes'`.execute(lab.db.kysely)
  await lab.restart()
  const next = openTab(t, lab, ann.token)
  assert.equal((await hold(next, lease)).success, true)
  await new Promise((resolve) => setTimeout(resolve, 9000))
  assert.equal((await ann.holder()).holder?.name, 'Ann', 'the healthy tab lost nothing')

  const heard = new Promise<LeaseAsk>((resolve) => next.once('lease_asked', resolve))
  const asked = await (await addPerson(lab, 'Bob')).ask('device1', 'the demo is at noon')
  assert.equal(asked.status, 201, asked.text)
  const { id, asked_by, message: words, status } = await heard
  assert.deepEqual(
    [id, asked_by, words, status],
    [asked.body.ask.id, 'Bob', 'the demo is at noon', 'open'],
    'the tab is told by itself',
  )
  const lost = new Promise<ApiError>((resolve) => next.once('lease_lost', resolve))
  await lab.post(
    '/server/control/forceUnlock',
    { host_name: 'lab-1', device_id: 'device1', reason: 'urgent' },
    { token: ann.token },
  )
  const message = await lost
  assert.deepEqual([message.code, message.lease_id], ['stale_token', lease])
  assert.match(message.error, /urgent/)
})
