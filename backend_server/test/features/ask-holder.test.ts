import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { LabEvent, LeaseAsk } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { firstRow, rowsOf } from '../../src/db/query.ts'
import { startLab, until } from '../start-lab.ts'
import { addPerson, leaseIdOf } from './person.ts'

const apiKey = 'shared-key-of-this-lab'

async function askLab(t: TestContext) {
  const lab = await startLab(t, {
    env: { AUTH_MODE: 'required', API_KEY: apiKey },
    host: { apiKey, runMs: () => 600_000 },
    timings: { sweepMs: 100 },
  })
  const [ann, bob, cem] = [await addPerson(lab, 'Ann'), await addPerson(lab, 'Bob'), await addPerson(lab, 'Cem')]
  const countDown = (askId: string) =>
    sql`update lease_asks set answer_by = now() - interval '1 second' where id = ${askId}`.execute(lab.db.kysely)
  const settled = (askId: string): Promise<LeaseAsk> =>
    until('the question is settled', async () => {
      const { ask } = (await lab.get<{ ask: LeaseAsk }>(`/server/lease-asks/${askId}`, { token: ann.token })).body
      return ask.status !== 'open' && ask
    })
  return { lab, ann, bob, cem, countDown, settled }
}

test('ask to release: the holder hears it, and a yes gives the device to the line', async (t) => {
  const { lab, ann, bob, cem } = await askLab(t)
  assert.equal((await bob.ask()).body.code, 'not_held')
  const lease = leaseIdOf(await ann.take())
  assert.equal((await ann.ask()).body.code, 'not_askable')
  const asked = await bob.ask('device1', 'the demo is at noon')
  assert.equal(asked.status, 201, asked.text)
  assert.deepEqual([asked.body.ask.status, asked.body.ask.asked_by, asked.body.waiting.position], ['open', 'Bob', 1])
  const seconds = (Date.parse(asked.body.ask.answer_by) - Date.parse(asked.body.ask.asked_at)) / 1000
  assert.equal(seconds, 60)
  const heard = await ann.beat(lease)
  assert.deepEqual(
    heard.body.asks.map((ask) => [ask.asked_by, ask.message]),
    [['Bob', 'the demo is at noon']],
  )
  assert.equal((await ann.holder()).asks.length, 1)
  const event = await firstRow(
    lab.db,
    sql<{ rooms: string[]; data: LabEvent['data'] }>`select rooms, data from events where type = 'lease.asked'`,
  )
  assert.ok(event?.rooms.includes('device:lab-1:device1'))
  assert.deepEqual([event?.data.asked_by, event?.data.message, event?.data.holder], ['Bob', 'the demo is at noon', 'Ann'])
  assert.equal((await bob.ask()).body.ask.id, asked.body.ask.id, 'asking again asks nothing new')
  assert.equal((await bob.answer(asked.body.ask.id, true)).status, 403, 'only the holder answers')
  assert.equal((await cem.answer(asked.body.ask.id, true)).status, 403)

  const yes = await ann.answer(asked.body.ask.id, true, 'go ahead')
  assert.deepEqual(
    [yes.body.ask.status, yes.body.ask.answered_by_holder, yes.body.ask.answer_message],
    ['given', true, 'go ahead'],
  )
  assert.equal((await bob.holder()).holder?.name, 'Bob')
  const over = await ann.beat(lease)
  assert.deepEqual([over.status, over.body.code], [409, 'stale_token'])
  assert.match(String(over.body.error), /given to the line, as Bob asked/)
  assert.equal((await ann.answer(asked.body.ask.id, false)).body.code, 'illegal_move')
})

test('a no leaves the device with its holder, and who asked in the line', async (t) => {
  const { ann, bob } = await askLab(t)
  await ann.take()
  const asked = await bob.ask()
  const no = await ann.answer(asked.body.ask.id, false, 'five more minutes')
  assert.deepEqual([no.body.ask.status, no.body.ask.answer_message], ['refused', 'five more minutes'])
  assert.equal((await bob.holder()).holder?.name, 'Ann')
  assert.equal((await bob.holder()).waiting[0]?.name, 'Bob')
})

test('no answer: given over when nothing was done since, refused when the holder is at work', async (t) => {
  const { lab, ann, bob, cem, countDown, settled } = await askLab(t)
  const lease = leaseIdOf(await ann.take())
  const first = await bob.ask()
  await ann.beat(lease, true)
  await countDown(first.body.ask.id)
  assert.deepEqual([(await settled(first.body.ask.id)).status, (await ann.holder()).holder?.name], ['refused', 'Ann'])

  // A no counts for a while: whoever is at work is not asked until they give in.
  const tooSoon = await bob.ask()
  assert.deepEqual([tooSoon.status, tooSoon.body.code], [429, 'asked_recently'], tooSoon.text)
  const wait = Number(tooSoon.headers.get('retry-after'))
  assert.ok(wait > 200 && wait <= 300, `${wait} s`)
  assert.equal((await bob.holder()).waiting[0]?.name, 'Bob', 'the place stays')
  await sql`update lease_asks set asked_at = asked_at - make_interval(secs => ${wait})`.execute(lab.db.kysely)
  const second = await bob.ask()
  assert.equal(second.status, 201, second.text)
  await ann.beat(lease)
  await countDown(second.body.ask.id)
  const given = await settled(second.body.ask.id)
  assert.deepEqual([given.status, given.answered_by_holder], ['given', false], 'a heartbeat is presence, not work')
  assert.equal((await ann.holder()).holder?.name, 'Bob')
  const events = await rowsOf(
    lab.db,
    sql<{ data: LabEvent['data'] }>`select data from events where type = 'lease.expired' order by seq`,
  )
  assert.match(String(events.at(-1)?.data.reason), /no answer to Bob/)

  // Bob starts a run under his lease: whoever is at work need not answer.
  await lab.post(
    '/server/script/execute',
    { host_name: 'lab-1', device_id: 'device1', script_name: 'zapping.ts' },
    { token: bob.token },
  )
  const third = await cem.ask()
  await countDown(third.body.ask.id)
  assert.equal((await settled(third.body.ask.id)).status, 'refused')
  const busy = await cem.holder()
  assert.deepEqual([busy.holder?.name, busy.holder?.run?.name], ['Bob', 'zapping.ts'])
  assert.match(String(busy.holder?.run?.path), /^\/server\/runs\//)
})

test('a key pressed right after the question is an answer, however young the last sign of life is', async (t) => {
  const { lab, ann, bob, countDown, settled } = await askLab(t)
  await ann.take()
  const asked = await bob.ask()
  const key = { host_name: 'lab-1', device_id: 'device1', command: 'press_key', params: { key: 'OK' } }
  const pressed = await lab.post('/server/remote/executeCommand', key, { token: ann.token })
  assert.equal(pressed.status, 200, pressed.text)
  await countDown(asked.body.ask.id)
  assert.deepEqual([(await settled(asked.body.ask.id)).status, (await ann.holder()).holder?.name], ['refused', 'Ann'])
})

test('a question ends with the lease or with the place it was about; forced release tells the loser who and why', async (t) => {
  const { lab, ann, bob, cem, settled } = await askLab(t)
  const lease = leaseIdOf(await ann.take())
  const byBob = await bob.ask()
  await bob.leave(byBob.body.waiting.lease_id)
  assert.equal((await settled(byBob.body.ask.id)).status, 'void')
  assert.equal((await bob.ask()).body.code, 'asked_recently', 'leaving the line is no way to ask again')
  assert.equal((await bob.take('device1', { wait: true })).status, 202)
  await bob.leave((await bob.take('device1', { wait: true })).body.lease?.id ?? '')
  const byCem = await cem.ask()
  const forced = await lab.post(
    '/server/control/forceUnlock',
    { host_name: 'lab-1', device_id: 'device1', reason: 'release tonight' },
    { token: bob.token },
  )
  assert.equal(forced.status, 200)
  assert.equal((await settled(byCem.body.ask.id)).status, 'void')
  assert.equal((await cem.holder()).holder?.name, 'Cem')
  const lost = await ann.beat(lease)
  assert.match(String(lost.body.error), /revoked by Bob: release tonight/)
  const event = await firstRow(
    lab.db,
    sql<{ rooms: string[]; data: LabEvent['data'] }>`select rooms, data from events where type = 'lease.revoked'`,
  )
  assert.deepEqual([event?.data.holder, event?.data.by, event?.data.reason], ['Ann', 'Bob', 'release tonight'])
  assert.ok(event?.rooms.includes('device:lab-1:device1'))
  const audit = await firstRow(
    lab.db,
    sql<{
      reason: string
      details: { holders: string[] }
    }>`select reason, details from audit_log where action = 'lease.force_unlock'`,
  )
  assert.deepEqual([audit?.reason, audit?.details.holders], ['release tonight', ['Ann']])
  // A run has nobody to ask.
  await cem.release()
  await lab.post(
    '/server/script/execute',
    { host_name: 'lab-1', device_id: 'device1', script_name: 'zapping.ts' },
    { token: ann.token },
  )
  assert.equal((await bob.ask()).body.code, 'not_askable')
})
