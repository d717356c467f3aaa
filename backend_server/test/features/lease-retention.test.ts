import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { pino } from 'pino'
import { readConfig } from '../../src/config.ts'
import { rowsOf } from '../../src/db/query.ts'
import { deleteOldHistoryJob } from '../../src/features/devices/index.ts'
import { deleteOldLeasesJob } from '../../src/features/leases/index.ts'
import { takeLeadership } from '../../src/jobs/leader.ts'
import { createTestDatabase } from '../test-db.ts'

test('T26: settled questions, ended leases and old changes of status go in batches, and what still tells something stays', async (t) => {
  const { db } = await createTestDatabase(t)
  const run = (text: ReturnType<typeof sql>) => text.execute(db.kysely)
  const [host, device] = [randomUUID(), randomUUID()]
  await run(sql`insert into hosts (id, team_id, name, status) values (${host}, ${defaultTeamId}, 'lab-1', 'online')`)
  await run(sql`
    insert into devices (id, team_id, host_id, device_key, status, registration)
    values (${device}, ${defaultTeamId}, ${host}, 'device1', 'available', '{}')`)
  // Ten leases and ten places in the line, one a day, the oldest ten days ago; each place has asked once.
  for (let day = 10; day >= 1; day -= 1) {
    const [lease, place] = [randomUUID(), randomUUID()]
    await run(sql`
      insert into leases (id, team_id, device_id, holder_kind, holder_id, token, status, granted_at, last_activity_at, expires_at, ended_at)
      values (${lease}, ${defaultTeamId}, ${device}, 'user', 'ann', ${11 - day}, 'released', now(), now(), now(), now() - make_interval(days => ${day}))`)
    await run(sql`
      insert into leases (id, team_id, device_id, holder_kind, holder_id, status, expires_at, ended_at)
      values (${place}, ${defaultTeamId}, ${device}, 'user', 'bob', 'expired', now(), now() - make_interval(days => ${day}))`)
    await run(sql`
      insert into lease_asks (id, team_id, lease_id, waiting_id, status, asked_at, answer_by, answered_at)
      values (${randomUUID()}, ${defaultTeamId}, ${lease}, ${place}, 'refused', now(), now(), now() - make_interval(days => ${day}))`)
    await run(sql`
      insert into device_status_history (device_id, from_status, to_status, at)
      values (${device}, 'available', 'leased', now() - make_interval(days => ${day}))`)
  }
  const days = async (table: string, column: string, where = 'true') =>
    (
      await rowsOf(
        db,
        sql<{
          day: number
        }>`select round(extract(epoch from now() - ${sql.ref(column)}) / 86400)::int as day from ${sql.table(table)}
                              where ${sql.raw(where)} order by 1`,
      )
    ).map((row) => row.day)
  const leader = await takeLeadership(db, 'test')
  const context = (term: number, signal = new AbortController().signal) => ({
    db,
    log: pino({ level: 'silent' }),
    signal,
    readySeconds: 100,
    term,
  })
  const jobs = [
    deleteOldLeasesJob({ everyMs: 1000, askHistoryDays: 3, statusHistoryDays: 6, batch: 2 }),
    deleteOldHistoryJob({ everyMs: 1000, statusHistoryDays: 4, batch: 2 }),
  ]
  const before = [
    await days('lease_asks', 'answered_at'),
    await days('leases', 'ended_at'),
    await days('device_status_history', 'at'),
  ]
  for (const job of jobs) {
    await job.run(context((leader?.term ?? 0) - 1))
    await job.run(context(leader?.term ?? 0, AbortSignal.abort()))
  }
  const same = [
    await days('lease_asks', 'answered_at'),
    await days('leases', 'ended_at'),
    await days('device_status_history', 'at'),
  ]
  assert.deepEqual(same, before, 'a former leader and a stopping server delete nothing')

  for (const job of [...jobs, ...jobs]) await job.run(context(leader?.term ?? 0))
  assert.deepEqual(await days('lease_asks', 'answered_at'), [1, 2])
  assert.deepEqual(await days('leases', 'ended_at', 'token is not null'), [1, 2, 3, 4, 5])
  assert.deepEqual(await days('leases', 'ended_at', 'token is null'), [1, 2, 3, 4, 5])
  assert.deepEqual(await days('device_status_history', 'at', `from_status is not null`), [1, 2, 3])
  // However old: since when a device is what it is, and why it became free.
  const none = [
    deleteOldLeasesJob({ everyMs: 1, askHistoryDays: 1, statusHistoryDays: 0 }),
    deleteOldHistoryJob({ everyMs: 1, statusHistoryDays: 0 }),
  ]
  for (const job of none) await job.run(context(leader?.term ?? 0))
  assert.deepEqual(await days('leases', 'ended_at'), [1])
  assert.equal((await days('device_status_history', 'at')).length, 1)
})

test('the times of keeping are settings with the documented defaults; nonsense stops the start', () => {
  const { askHistoryDays, statusHistoryDays } = readConfig({})
  assert.deepEqual([askHistoryDays, statusHistoryDays], [90, 400])
  assert.throws(
    () => readConfig({ ASK_HISTORY_DAYS: '0', STATUS_HISTORY_DAYS: 'for ever' }),
    /ASK_HISTORY_DAYS.*\n.*STATUS_HISTORY_DAYS/,
  )
})
