// T3, promise N3: a holder that was paused and comes back cannot do harm: all of its writes are refused.
// Stops: five hosts in the middle of their runs; their leases end and their devices go to others; then they go on.
// Judge: the answers (409 stale_token for progress, artifact and result), and the rows and files, which must be the same
// before and after. Takes about 10 s; the agent's own part of the promise is tested in backend_host/test.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import type { Run, RunOrder } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { rowsOf } from '../../src/db/query.ts'
import type { FakeHost } from '../fakes/fake-host.ts'
import { type Answer, type Lab, startLab, until } from '../start-lab.ts'
import { chanceOf, figure, sizeOf } from './form.ts'
import { readHistory } from './history.ts'

test('T3: hosts that slept past the end of their leases write nothing any more', async (t) => {
  const chance = chanceOf(t, 'T3')
  const rounds = sizeOf('TEST_ROUNDS', 1)
  const count = sizeOf('TEST_PARALLEL', 5)
  let refused = 0
  for (let round = 1; round <= rounds; round += 1) {
    await t.test(`round ${round}`, async (child) => {
      const lab = await startLab(child, { hosts: count, host: { runMs: () => 10 * 60_000 } })
      const refusals = await Promise.all(lab.hosts.map((host) => sleepAndWake(lab, host, chance.isTrue(0.5))))
      refused += refusals.reduce((sum, one) => sum + one, 0)
      assert.deepEqual((await readHistory(lab.db)).problems, [])
    })
  }
  figure(t, 'T3', `${rounds * count} holders, ${refused} stale writes, all refused, 0 rows or files changed, seed ${chance.seed}`)
})

test('T3: people whose leases expired in their absence change nothing with the old token', async (t) => {
  const count = sizeOf('TEST_PARALLEL', 5)
  const lab = await startLab(t, { hosts: count, env: { AUTH_MODE: 'required' } })
  const { token: ann } = await lab.addToken('ann', 'tester')
  const { token: bob } = await lab.addToken('bob', 'tester')
  const refused = await Promise.all(
    lab.hosts.map(async ({ options }) => {
      const target = { host_name: options.name, device_id: 'device1' }
      const take = async (token: string): Promise<number> => {
        const taken = await lab.post<{ leases: { token: number }[] }>('/server/control/takeControl', target, { token })
        assert.equal(taken.status, 200, taken.text)
        return taken.body.leases[0]?.token ?? 0
      }
      const old = await take(ann)
      const [lease] = await rowsOf(
        lab.db,
        sql<{ id: string }>`
          select l.id from leases l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id
           where h.name = ${options.name} and l.status = 'held'`,
      )
      await lab.expireLease(lease?.id ?? '')
      await until('the lease is over', async () => (await heldToken(lab, options.name, bob)) === undefined)
      assert.equal(await take(bob), old + 1)
      const writes = [
        { path: '/server/control/releaseControl', body: { ...target, token: old } },
        { path: '/server/script/execute', body: { ...target, script_name: 'demo', token: old } },
        { path: '/server/script/execute', body: { ...target, script_name: 'demo', token: old, queue: true } },
      ]
      for (const { path: route, body } of writes) {
        const answer = await lab.post<{ code: string }>(route, body, { token: ann })
        assert.deepEqual([answer.status, answer.body.code], [409, 'stale_token'], `${route}: ${answer.text}`)
      }
      const again = await lab.post<{ code: string }>('/server/control/takeControl', target, { token: ann })
      assert.deepEqual([again.status, again.body.code], [423, 'device_locked'])
      assert.equal(await heldToken(lab, options.name, bob), old + 1, 'the new holder still holds')
      return writes.length + 1
    }),
  )
  assert.deepEqual((await lab.get<{ runs: unknown[] }>('/server/runs', { token: bob })).body.runs, [])
  figure(t, 'T3 people', `${count} people, ${refused.reduce((sum, one) => sum + one, 0)} stale calls, all refused`)
})

/** Returns how many writes were refused. */
async function sleepAndWake(lab: Lab, host: FakeHost, nextIsPerson: boolean): Promise<number> {
  const target = { host_name: host.options.name, device_id: 'device1' }
  const order = await startRun(lab, host, target)
  host.sleep()
  await sql`update runs set alive_until = now() - interval '1 second' where id = ${order.run_id}`.execute(lab.db.kysely)
  const ended = await until('the run of the sleeper ended and is reported', async () => {
    const run = await readRun(lab, order.run_id)
    return run.report_url !== null && run
  })
  assert.equal(ended.error_code, 'host_lost')

  // The next holder: a person, or the next run. Only rows matter here: the sleeper answers nobody.
  const next = nextIsPerson
    ? lab.post('/server/control/takeControl', { ...target, user_id: 'ann' }).then(() => undefined)
    : lab.post('/server/script/execute', { ...target, script_name: 'demo' }).then(() => undefined)
  await until('the device has its next holder', async () => (await heldToken(lab, host.options.name)) === order.token + 1)
  const before = await stateOf(lab, order)
  const answers = await writeAll(lab, host, order)
  for (const { what, answer } of answers) {
    assert.equal(answer.status, 409, `${what}: ${answer.text}`)
    assert.equal(answer.body.code, 'stale_token', what)
  }
  // A result that claims the new token for the old run, or forgets its token, is no better.
  for (const token of [order.token + 1, undefined]) {
    const body = { task_id: order.task_id, result: { exit_code: 0, outcome: 'passed' }, host_name: host.options.name, token }
    assert.equal((await lab.post<{ code: string }>('/server/script/taskComplete', body)).body.code, 'stale_token')
  }
  assert.deepEqual(await stateOf(lab, order), before, 'a refused write changed something')

  const accepted = host.ledger.length
  host.wake()
  await until('the host that woke up was told', () => host.ledger.some((entry) => entry.event === 'result_refused'))
  assert.ok(!host.ledger.slice(accepted).some((entry) => entry.event === 'result_accepted' && entry.run_id === order.run_id))
  assert.equal((await readRun(lab, order.run_id)).error_code, 'host_lost')
  await next
  return answers.length + 3
}

async function startRun(lab: Lab, host: FakeHost, target: object): Promise<RunOrder> {
  const submitted = await lab.post<{ run_id: string }>('/server/script/execute', { ...target, script_name: 'demo' })
  assert.equal(submitted.status, 202, submitted.text)
  await until('the run goes on', async () => (await readRun(lab, submitted.body.run_id)).status === 'running')
  const order = host.runs.get(submitted.body.run_id)?.order
  assert.ok(order)
  return order
}

const readRun = async (lab: Lab, id: string): Promise<Run> => (await lab.get<{ run: Run }>(`/server/runs/${id}`)).body.run

async function heldToken(lab: Lab, hostName: string, token?: string): Promise<number | undefined> {
  const options = token === undefined ? {} : { token }
  const { leases } = (await lab.get<{ leases: { token: number }[] }>(`/server/leases?host_name=${hostName}`, options)).body
  return leases[0]?.token
}

/** Everything a holder may write, sent with the token of the lease that ended. */
async function writeAll(lab: Lab, host: FakeHost, order: RunOrder) {
  const name = host.options.name
  const claim = { host_name: name, token: order.token }
  const step = { position: 1, kind: 'block', name: 'late', started_at: new Date().toISOString() }
  type Refusal = Answer<{ code?: string }>
  const progress = (body: object): Promise<Refusal> => lab.post(`/server/runs/${order.run_id}/progress`, { ...claim, ...body })
  const artifact = (): Promise<Refusal> =>
    lab.call('PUT', `/server/runs/${order.run_id}/artifacts/${randomUUID()}?kind=screenshot&name=late.png`, {
      raw: 'not really a picture',
      headers: { 'content-type': 'image/png', 'x-lease-token': String(order.token), 'x-host-name': name },
    })
  const result = (outcome: string): Promise<Refusal> =>
    lab.post('/server/script/taskComplete', {
      ...claim,
      task_id: order.task_id,
      result: { exit_code: 0, outcome, stdout: 'late\n' },
    })
  return [
    { what: 'start', answer: await progress({ started: true }) },
    { what: 'step', answer: await progress({ steps: [step] }) },
    { what: 'log lines', answer: await progress({ log: { from: 0, lines: ['late'] } }) },
    { what: 'artifact', answer: await artifact() },
    { what: 'result passed', answer: await result('passed') },
    { what: 'result error', answer: await result('error') },
    { what: 'result cancelled', answer: await result('cancelled') },
  ]
}

/** All that a write of this run could touch. The beats of other hosts go on, so only rows of this host count. */
async function stateOf(lab: Lab, order: RunOrder) {
  const read = (text: ReturnType<typeof sql<object>>): Promise<object[]> => rowsOf(lab.db, text)
  const files = await readdir(path.join(lab.config.dataDir, 'artifacts'), { recursive: true }).catch(() => [])
  return {
    run: await read(
      sql`select status, error_code, result, metadata, finished_at, started_at, lease_token from runs where id = ${order.run_id}`,
    ),
    steps: await read(sql`select position, name, outcome from run_steps where run_id = ${order.run_id} order by position`),
    lines: await read(sql`select from_line, lines from run_log_chunks where run_id = ${order.run_id}`),
    artifacts: await read(sql`select id, name from artifacts where run_id = ${order.run_id} and kind not in ('log', 'report')`),
    leases: await read(sql`
      select l.token, l.status, l.holder_id from leases l join devices d on d.id = l.device_id join hosts h on h.id = d.host_id
       where h.name = ${order.host_name} order by l.token`),
    devices: await read(
      sql`select d.status, d.fence from devices d join hosts h on h.id = d.host_id where h.name = ${order.host_name}`,
    ),
    files: files.filter((file) => file.includes(order.run_id)).toSorted(),
  }
}
