// Promise N1, and the line of docs/adr/0021: of all who wait, the first has the device, one at a time, whoever hands it on.
// Kills nothing: 12 people join one line at the same moment with three priorities, then it is emptied while four servers' worth of
// grants and three people without a place fight for the device, all on connections of their own.
// Judge: the events, in the order of the commits, against priority and age in the rows. Takes about 20 s.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { pino } from 'pino'
import { inTransaction, openDatabase } from '../../src/db/database.ts'
import { firstRow, rowsOf } from '../../src/db/query.ts'
import { beatLease, grantWaitingJob, type Holder, leaveLease, takeDevice } from '../../src/features/leases/index.ts'
import { startLab } from '../start-lab.ts'
import { silentLog } from '../test-cluster.ts'
import { chanceOf, figure, sizeOf } from './form.ts'

const people = 12
const person = (id: string): Holder => ({ kind: 'user', id, name: null, ip: null })

test('N1: many people in one line: one winner at a time, in the order of priority and age, and nobody passes them', async (t) => {
  const lab = await startLab(t)
  const chance = chanceOf(t, 'line race')
  const rounds = sizeOf('TEST_ROUNDS', 6)
  const db = openDatabase({ url: lab.databaseUrl, maxConnections: 12, log: silentLog })
  t.after(() => db.close())
  const device = await firstRow(db, sql<{ id: string }>`select id from devices`)
  assert.ok(device)
  const take = (id: string, wait: boolean, priority = 50) =>
    inTransaction(db, (tx) =>
      takeDevice(tx, { teamId: defaultTeamId, deviceId: device.id, holder: person(id), byAddress: false, wait, priority }),
    )
  const use = (id: string, holder: string) => ({ id, teamId: defaultTeamId, holder: person(holder), byAddress: false })
  const grants = grantWaitingJob({ everyMs: 1 })
  const context = { db, log: pino({ level: 'silent' }), term: 0, signal: new AbortController().signal, readySeconds: 1 }
  let passed = 0
  let granted = 0

  for (let round = 1; round <= rounds; round += 1) {
    const first = await take('first', true)
    assert.equal(first.kind, 'held')
    const places = await Promise.all(
      Array.from({ length: people }, (_, index) => take(`${round}-${index}`, true, chance.pick([20, 50, 80]) ?? 50)),
    )
    const names = new Map(places.map((place, index) => ['lease' in place ? place.lease.id : '', `${round}-${index}`]))
    assert.ok(places.every((place) => place.kind === 'waiting'))
    const from = (await firstRow(db, sql<{ seq: number }>`select max(seq) as seq from events`))?.seq ?? 0
    if (first.kind === 'held') await inTransaction(db, (tx) => leaveLease(tx, use(first.lease.id, 'first')))
    let isOver = false
    const fight = [
      ...Array.from({ length: 4 }, async () => {
        while (!isOver) await grants.run(context)
      }),
      ...['eve', 'mallory', 'oscar'].map(async (id) => {
        while (!isOver) if ((await take(id, false)).kind === 'held') passed += 1
      }),
    ]
    for (let left = people; left > 0; left -= 1) {
      const held = await rowsOf(db, sql<{ id: string }>`select id from leases where status = 'held'`)
      assert.equal(held.length, 1, `${left} wait, and ${held.length} hold the device`)
      const id = held[0]?.id ?? ''
      const name = names.get(id)
      assert.ok(name, 'somebody without a place has the device')
      // The holder leaves while the others send heartbeats: their rows are being written at the moment of the grant.
      await Promise.all([
        inTransaction(db, (tx) => leaveLease(tx, use(id, name))),
        ...[...names]
          .filter(([other]) => other !== id)
          .slice(0, 3)
          .map(([other, who]) =>
            inTransaction(db, (tx) => beatLease(tx, { ...use(other, who), active: false, secondsAgo: 0 })).catch(() => undefined),
          ),
      ])
      names.delete(id)
      granted += 1
      if (left === 1) isOver = true
    }
    await Promise.all(fight)
    const order = await rowsOf(
      db,
      sql<{ id: string; rank: number }>`
        select l.id, row_number() over (order by l.priority desc, l.requested_at, l.id)::int as rank
          from events e join leases l on l.id::text = e.subject_id
         where e.seq > ${from} and e.type = 'lease.granted' and e.data ->> 'waited' = 'true'
         order by e.seq`,
    )
    assert.deepEqual(
      order.map((one) => one.rank),
      Array.from({ length: people }, (_, index) => index + 1),
      `round ${round}: granted out of order`,
    )
    const [rest] = await rowsOf(
      db,
      sql<{ id: string; holder_id: string }>`select id, holder_id from leases where status = 'held'`,
    )
    if (rest) await inTransaction(db, (tx) => leaveLease(tx, use(rest.id, rest.holder_id)))
    assert.ok(passed <= round, 'a device with people in line was taken by somebody without a place')
  }
  figure(t, 'line race', `${rounds} rounds, ${granted} grants in order, 1 holder at a time, seed ${chance.seed}`)
})
