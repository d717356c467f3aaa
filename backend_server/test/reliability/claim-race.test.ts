// Promise N1: a device never has two valid holders, however many ask for it at the same moment.
// Kills nothing: 6 to 20 callers at once on one device, 50 rounds, over HTTP and on the statement itself.
// Judge: the answers (one winner, all others refused by name of the winner), the tokens, and the rows. Takes about 15 s.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ApiError, defaultTeamId } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { inTransaction, openDatabase } from '../../src/db/database.ts'
import { firstRow, rowsOf } from '../../src/db/query.ts'
import { claimDevice, endLeases, type LeaseRow } from '../../src/features/leases/index.ts'
import { type Lab, startLab } from '../start-lab.ts'
import { silentLog } from '../test-cluster.ts'
import { chanceOf, figure, sizeOf } from './form.ts'

const leastCallers = 6
const mostCallers = 20

interface Taken {
  leases: { token: number }[]
}

async function raceOverHttp(t: TestContext, lab: Lab, name: string, callersOf: (count: number) => Promise<Caller[]>) {
  const chance = chanceOf(t, name)
  const rounds = sizeOf('TEST_ROUNDS', 50)
  const callers = await callersOf(mostCallers)
  let lastToken = 0
  let calls = 0
  for (let round = 1; round <= rounds; round += 1) {
    const count = chance.between(leastCallers, mostCallers)
    const answers = await Promise.all(
      callers.slice(0, count).map(async (caller) => ({
        caller,
        answer: await lab.post<Taken & ApiError & { locked_by?: string }>(
          '/server/control/takeControl',
          { host_name: 'lab-1', device_id: 'device1', ...caller.body },
          caller.options,
        ),
      })),
    )
    calls += count
    const winners = answers.filter(({ answer }) => answer.status === 200)
    assert.equal(winners.length, 1, `round ${round}: ${winners.length} of ${count} callers won`)
    const [winner] = winners
    assert.ok(winner)
    for (const { answer } of answers) {
      if (answer === winner.answer) continue
      assert.equal(answer.status, 423, answer.text)
      assert.equal(answer.body.code, 'device_locked')
      assert.equal(answer.body.locked_by, winner.caller.id)
    }
    const token = winner.answer.body.leases[0]?.token ?? 0
    assert.equal(token, lastToken + 1, 'each grant raises the token by one')
    lastToken = token
    const released = await lab.post(
      '/server/control/releaseControl',
      { host_name: 'lab-1', device_id: 'device1', ...winner.caller.body },
      winner.caller.options,
    )
    assert.equal(released.body.success, true, released.text)
  }
  figure(
    t,
    name,
    `${rounds} rounds, ${leastCallers} to ${mostCallers} callers, ${calls} calls, 1 winner each, seed ${chance.seed}`,
  )
}

interface Caller {
  /** What others are told of the holder. */
  id: string
  body: object
  options: { token?: string; headers?: Record<string, string> }
}

test('N1: of many API tokens that take one device at once exactly one gets it', async (t) => {
  const lab = await startLab(t, { env: { AUTH_MODE: 'required' } })
  await raceOverHttp(t, lab, 'claim race, tokens', (count) =>
    Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const name = `tester ${index}`
        const { token } = await lab.addToken(name, 'tester')
        return { id: name, body: {}, options: { token } }
      }),
    ),
  )
})

test('N1: of many people without login that take one device at once exactly one gets it', async (t) => {
  // Behind a proxy, so that each of them has an address: while login is off, the address makes an owner too.
  const lab = await startLab(t, { env: { TRUSTED_PROXIES: '1' } })
  await raceOverHttp(t, lab, 'claim race, open', async (count) =>
    Array.from({ length: count }, (_, index) => ({
      id: `user-${index}`,
      body: { user_id: `user-${index}` },
      options: { headers: { 'x-forwarded-for': `198.51.100.${index + 1}` } },
    })),
  )
})

test('N1: the claiming statement itself has one winner on as many connections as callers', async (t) => {
  const lab = await startLab(t)
  const chance = chanceOf(t, 'claim race, statement')
  const rounds = sizeOf('TEST_ROUNDS', 50)
  const db = openDatabase({ url: lab.databaseUrl, maxConnections: mostCallers, log: silentLog })
  t.after(() => db.close())
  const device = await firstRow(db, sql<{ id: string }>`select id from devices`)
  assert.ok(device)
  for (let round = 1; round <= rounds; round += 1) {
    const count = chance.between(leastCallers, mostCallers)
    const leases: (LeaseRow | undefined)[] = await Promise.all(
      Array.from({ length: count }, (_, index) =>
        inTransaction(db, (tx) =>
          claimDevice(tx, {
            teamId: defaultTeamId,
            deviceId: device.id,
            holder: { kind: 'user', id: `caller ${index}`, name: null, ip: null },
          }),
        ),
      ),
    )
    const won = leases.filter((lease) => lease !== undefined)
    assert.equal(won.length, 1, `round ${round}: ${won.length} of ${count} claims won`)
    assert.equal(won[0]?.token, round)
    const held = await rowsOf(db, sql<{ id: string }>`select id from leases where status = 'held'`)
    assert.deepEqual(
      held.map((lease) => lease.id),
      won.map((lease) => lease.id),
    )
    await inTransaction(db, (tx) =>
      endLeases(
        tx,
        won.map((lease) => lease.id),
        { status: 'released', reason: 'given back' },
      ),
    )
  }
  figure(t, 'claim race, statement', `${rounds} rounds, 1 winner each, tokens 1 to ${rounds}, seed ${chance.seed}`)
})
