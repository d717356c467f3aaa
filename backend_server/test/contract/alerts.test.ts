import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { Alert } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { resolveGoneAlertsJob } from '../../src/features/alerts/index.ts'
import { onePixelJpeg } from '../fakes/fake-device-calls.ts'
import { type Lab, startLab } from '../start-lab.ts'

type List = { alerts: Alert[]; count: number; active_count?: number; resolved_count?: number }
const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 5, 12, 0, seconds)).toISOString()

const fault = (more: Record<string, unknown> = {}) => ({
  id: randomUUID(),
  device_id: 'device1',
  type: 'blackscreen',
  status: 'active',
  consecutive_count: 10,
  started_at: at(0),
  ended_at: null,
  evidence: { start_thumbnail_url: '/host/stream/capture1/thumbnails/a.jpg' },
  ...more,
})
const report = (lab: Lab, ...alerts: Record<string, unknown>[]) =>
  lab.post<{ stored: number }>('/server/alerts/report', { host_name: 'lab-1', alerts })
const all = async (lab: Lab, query = ''): Promise<List> => (await lab.get<List>(`/server/alerts/getAllAlerts?${query}`)).body
const events = async (lab: Lab): Promise<string[]> =>
  (await sql<{ type: string }>`select type from events where type like 'alert.%' order by seq`.execute(lab.db.kysely)).rows.map(
    (row) => row.type,
  )

test('api-core.md 15: an alert is raised, repeated, resolved and marked, each change once', async (t) => {
  const lab = await startLab(t)
  const black = fault()
  assert.equal((await report(lab, black)).body.stored, 1)
  await report(lab, black)
  const [shown] = (await all(lab)).alerts
  const { created_at, updated_at, ...rest } = shown ?? ({} as Alert)
  assert.deepEqual([typeof created_at, typeof updated_at], ['string', 'string'])
  assert.deepEqual(
    { ...rest, device_name: 'x', start_time: new Date(rest.start_time).toISOString() },
    {
      id: black.id,
      host_name: 'lab-1',
      device_id: 'device1',
      device_name: 'x',
      incident_type: 'blackscreen',
      status: 'active',
      consecutive_count: 10,
      start_time: at(0),
      end_time: null,
      duration_seconds: null,
      end_reason: null,
      start_thumbnail_url: null,
      end_thumbnail_url: null,
      run_id: null,
      metadata: black.evidence,
      checked: false,
      check_type: null,
      discard: false,
      discard_type: null,
      discard_comment: null,
    },
  )
  const ended = { ...black, status: 'resolved', ended_at: at(30), evidence: { end_thumbnail_url: '/b.jpg' } }
  await report(lab, ended, ended)
  // Late and out of order: what has ended stays ended.
  await report(lab, black)
  const after = await all(lab)
  assert.deepEqual([after.active_count, after.resolved_count], [0, 1])
  assert.deepEqual(after.alerts[0]?.metadata, { ...black.evidence, end_thumbnail_url: '/b.jpg' })
  assert.deepEqual(await events(lab), ['alert.raised', 'alert.resolved'])

  const mark = (name: string, body: Record<string, unknown>, id = black.id) =>
    lab.call('PUT', `/server/alerts/${name}/${id}`, { body })
  assert.deepEqual((await mark('updateCheckedStatus', { checked: true })).body, { status: 'success' })
  assert.equal((await mark('updateDiscardStatus', { discard: true, discard_comment: 'a trailer' })).status, 200)
  const [marked] = (await all(lab)).alerts
  assert.deepEqual([marked?.checked, marked?.discard, marked?.discard_comment], [true, true, 'a trailer'])
  assert.equal((await mark('updateCheckedStatus', { checked: true }, randomUUID())).status, 404)
})

test('data.md alerts: one active alert for each device and kind, also when an agent has lost its memory', async (t) => {
  const lab = await startLab(t)
  const first = fault()
  const second = fault({ started_at: at(100) })
  await report(lab, first)
  await Promise.all([report(lab, second), report(lab, second), report(lab, fault({ type: 'freeze' }))])
  const { alerts } = await all(lab)
  const active = alerts.filter((one) => one.status === 'active')
  assert.deepEqual(active.map((one) => one.incident_type).sort(), ['blackscreen', 'freeze'])
  const old = alerts.find((one) => one.id === first.id)
  assert.deepEqual([old?.status, new Date(old?.end_time ?? 0).toISOString()], ['resolved', at(100)])
  await assert.rejects(
    sql`update alerts set status = 'active', ended_at = null where id = ${first.id}`.execute(lab.db.kysely),
    /alerts_active/,
  )
  assert.equal((await all(lab, 'incident_type=freeze')).count, 1)
  assert.equal((await all(lab, 'device_id=device9')).count, 0)
  assert.equal((await lab.get<List>('/server/alerts/getClosedAlerts')).body.count, 1)
  assert.equal((await lab.get<List>('/server/alerts/getActiveAlerts?incident_type=freeze')).body.count, 1)
})

test('begun and ended while the server was away is one resolved alert; unknown devices and hosts store nothing', async (t) => {
  const lab = await startLab(t)
  const whole = fault({ status: 'resolved', ended_at: at(20) })
  assert.equal((await report(lab, whole, fault({ device_id: 'device9' }))).body.stored, 1)
  assert.deepEqual((await all(lab)).resolved_count, 1)
  assert.deepEqual(await events(lab), ['alert.resolved'])
  assert.equal((await lab.post('/server/alerts/report', { host_name: 'nobody', alerts: [whole] })).status, 404)
  assert.equal((await report(lab, fault({ status: 'resolved' }))).status, 400, 'an end without a time')
})

test('data.md 4: an alert of a device that is gone for ten minutes ends', async (t) => {
  const lab = await startLab(t)
  await report(lab, fault())
  const job = resolveGoneAlertsJob({ everyMs: 1000, graceSeconds: 0 })
  await lab.hosts[0]?.kill()
  const term =
    (await sql<{ term: number }>`select term from leader_leases where name = 'background'`.execute(lab.db.kysely)).rows[0]
      ?.term ?? 0
  const run = () => job.run({ db: lab.db, term, readySeconds: 1000 } as Parameters<typeof job.run>[0])
  await run()
  assert.equal((await all(lab)).active_count, 1)
  await sql`update hosts set status = 'offline', last_seen_at = now() - interval '11 minutes'`.execute(lab.db.kysely)
  await run()
  const { alerts, active_count } = await all(lab)
  assert.deepEqual([active_count, alerts[0]?.end_reason], [0, 'device_gone'])
})

test('data.md alerts: what the screen showed is kept here, once, for people of the team only; an ended alert says how long and why', async (t) => {
  const lab = await startLab(t)
  const black = fault({ thumbnails: { start: onePixelJpeg } })
  await report(lab, black)
  await report(lab, black)
  const ended = { ...black, status: 'resolved', ended_at: at(95), end_reason: 'stream_stopped' }
  await report(lab, { ...ended, thumbnails: { start: onePixelJpeg, end: onePixelJpeg } })
  const [alert] = (await all(lab)).alerts
  assert.deepEqual([alert?.duration_seconds, alert?.end_reason], [95, 'stream_stopped'])
  assert.equal(alert?.end_thumbnail_url, `/server/alerts/${String(black.id)}/thumbnail/end`)
  const stored = await sql<{ count: number }>`select count(*)::int as count from artifacts where status = 'stored'`.execute(
    lab.db.kysely,
  )
  assert.equal(stored.rows[0]?.count, 2, 'a repeated report stores nothing anew')
  const bytes = Buffer.from(onePixelJpeg, 'base64')
  // Kept by the server alone: the host is gone, and this is another life of the server.
  await lab.hosts[0]?.kill()
  await lab.restart()
  for (const url of [alert?.start_thumbnail_url, alert?.end_thumbnail_url]) {
    const picture = await fetch(`${lab.url}${url}`)
    assert.deepEqual([picture.status, picture.headers.get('content-type')], [200, 'image/jpeg'])
    assert.deepEqual(Buffer.from(await picture.arrayBuffer()), bytes)
  }
  const { token } = await lab.addTeam('others')
  assert.equal((await lab.get(String(alert?.start_thumbnail_url), { token })).status, 404)
  const noPicture = { start: Buffer.from('<script>').toString('base64') }
  assert.equal((await report(lab, fault({ type: 'freeze', thumbnails: noPicture }))).status, 400)
})

test('api-core.md 15: deleteAllAlerts deletes the alerts of the own team with their pictures, and needs the role admin', async (t) => {
  const lab = await startLab(t)
  const black = fault({ thumbnails: { start: onePixelJpeg } })
  await report(lab, black, fault({ type: 'freeze', status: 'resolved', ended_at: at(5) }))
  const [alert] = (await all(lab, 'incident_type=blackscreen')).alerts
  const remove = (token?: string) => lab.call('DELETE', '/server/alerts/deleteAllAlerts', token === undefined ? {} : { token })
  const other = await lab.addTeam('others')
  assert.deepEqual((await remove(other.token)).body, { success: true, deleted_count: 0, message: 'Alerts deleted' })
  const tester = await lab.addToken('tester', 'tester')
  assert.equal((await remove(tester.token)).status, 403)
  assert.equal((await all(lab)).count, 2)
  assert.equal((await remove()).body.deleted_count, 2)
  assert.equal((await all(lab)).count, 0)
  assert.equal((await lab.get(String(alert?.start_thumbnail_url))).status, 404)
  assert.equal((await events(lab)).at(-1), 'alert.deleted')
  // The fault went on and ends now: that is news, with its whole time.
  await report(lab, { ...black, status: 'resolved', ended_at: at(60) })
  assert.deepEqual(
    (await all(lab)).alerts.map((one) => one.duration_seconds),
    [60],
  )
})
