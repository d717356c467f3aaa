// Promise N1 on hosts of the original, which send no token, no beat and each callback once: their runs end exactly once too.
// Cuts: callbacks that come late, twice, never, or for nothing; orders that a host refuses. The time is moved in the rows.
// Judge: the runs as everybody sees them, and what the host was asked. Takes about 15 s.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { Run } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Lab, startLab, until } from '../start-lab.ts'
import { readHistory } from './history.ts'

const sharedKey = 'a-key-that-the-lab-shares'
const readRun = async (lab: Lab, id: string): Promise<Run> => (await lab.get<{ run: Run }>(`/server/runs/${id}`)).body.run

async function execute(lab: Lab, more: object = {}): Promise<string> {
  const body = { host_name: 'lab-1', device_id: 'device1', script_name: 'goto.py', parameters: '--node home', ...more }
  const submitted = await lab.post<{ run_id: string; task_id: string; status: string }>('/server/script/execute', body)
  assert.equal(submitted.status, 202, submitted.text)
  assert.equal(submitted.body.status, 'started')
  assert.equal(submitted.body.task_id, submitted.body.run_id)
  return submitted.body.run_id
}
const callBack = (lab: Lab, taskId: string, body: object) => lab.post('/server/script/taskComplete', { task_id: taskId, ...body })
const passed = { stdout: 'one\nSCRIPT_SUCCESS:true\n', stderr: '', exit_code: 0, script_success: true, execution_time_ms: 41_200 }

test('execute, 202, callback without a token: the run has its verdict, log and links', async (t) => {
  const lab = await startLab(t, { env: { API_KEY: sharedKey }, host: { original: true, apiKey: sharedKey, runMs: () => 60_000 } })
  const id = await execute(lab)
  await until('the accepted order is the start', async () => (await readRun(lab, id)).status === 'running')
  const [order] = [...(lab.hosts[0]?.runs.values() ?? [])].map((run) => run.order)
  assert.deepEqual(
    [order?.task_id, order?.host_name, order?.device_id, order?.script_name, order?.parameters],
    [id, 'lab-1', 'device1', 'goto', '--node home --host lab-1 --device device1'],
  )
  const links = { report_url: 'https://files.example.org/report.html', logs_url: 'https://files.example.org/log.txt' }
  const answer = await callBack(lab, id, { result: { ...passed, ...links } })
  assert.equal(answer.status, 200)
  assert.equal(answer.body.success, true)
  const run = await readRun(lab, id)
  assert.deepEqual([run.status, run.success, run.logs_url], ['passed', true, links.logs_url])
  const { task } = (await lab.get<{ task: { status: string; result: Record<string, unknown> } }>(`/server/script/status/${id}`))
    .body
  assert.equal(task.status, 'completed')
  assert.deepEqual([task.result.success, task.result.script_success, task.result.stdout], [true, true, passed.stdout])
  const log = await lab.get<{ lines: string[] }>(`/server/runs/${id}/log?after=0`)
  assert.deepEqual(log.body.lines, ['one', 'SCRIPT_SUCCESS:true'])
  assert.deepEqual((await lab.get<{ leases: unknown[] }>('/server/leases')).body.leases, [])
  const twice = await callBack(lab, id, { result: { ...passed, exit_code: 1, script_success: false } })
  assert.equal(twice.status, 200)
  assert.equal((await readRun(lab, id)).status, 'passed', 'the first callback counts')
})

test('no callback until the limit: host_lost; a late one is kept as evidence and changes no verdict', async (t) => {
  const lab = await startLab(t, { host: { original: true, runMs: () => 600_000 } })
  const id = await execute(lab)
  await until('the run goes on', async () => (await readRun(lab, id)).status === 'running')
  const limits = await readLimits(lab, id)
  assert.deepEqual([limits.run, limits.lease], [3900, 3900], 'one hour and five minutes, for the run and its lease')
  await sql`update runs set alive_until = now() - interval '1 hour', deadline_at = now() - interval '1 hour' where id = ${id}`.execute(
    lab.db.kysely,
  )
  await until('the run ends', async () => (await readRun(lab, id)).status === 'error')
  assert.equal((await readRun(lab, id)).error_code, 'host_lost')
  const { task } = (await lab.get<{ task: { status: string; error: string } }>(`/server/script/status/${id}`)).body
  assert.equal(task.status, 'failed')
  assert.match(task.error, /host_lost/)

  assert.equal((await callBack(lab, id, { result: passed })).status, 200)
  const run = await readRun(lab, id)
  assert.deepEqual([run.status, run.error_code], ['error', 'host_lost'])
  const late = run.metadata.late_result as { result: { script_success: boolean } } | undefined
  assert.equal(late?.result.script_success, true)
  assert.deepEqual((await readHistory(lab.db)).problems, [])
})

async function readLimits(lab: Lab, id: string): Promise<{ run: number; lease: number }> {
  const { rows } = await sql<{ run: number; lease: number }>`
    select round(extract(epoch from r.deadline_at - r.assigned_at))::int as run,
           round(extract(epoch from l.expires_at - r.assigned_at))::int as lease
      from runs r join leases l on l.id = r.lease_id where r.id = ${id}`.execute(lab.db.kysely)
  const [row] = rows
  assert.ok(row)
  return row
}

test('callbacks for nothing are answered with success and change nothing', async (t) => {
  const lab = await startLab(t, { host: { original: true, runMs: () => 600_000 } })
  for (const taskId of [randomUUID(), 'not-a-uuid', '../../etc/passwd']) {
    const answer = await callBack(lab, taskId, { result: passed })
    assert.deepEqual([answer.status, answer.body.success], [200, true], taskId)
  }
  const first = await execute(lab)
  const waiting = await execute(lab, { queue: true })
  assert.equal((await callBack(lab, waiting, { error: 'no idea' })).status, 200)
  assert.equal((await readRun(lab, waiting)).status, 'queued', 'a run that no host was given cannot have ended')
  assert.equal((await callBack(lab, first, { result: null, error: 'boom' })).status, 200)
  const run = await readRun(lab, first)
  assert.deepEqual([run.status, run.error_message], ['error', 'boom'])
})

test('an order that an original host refuses ends the run at once, and the device is free', async (t) => {
  let answer = { status: 503, body: { success: false, error: 'busy' } as Record<string, unknown> }
  const lab = await startLab(t, { host: { original: true, refuse: () => answer } })
  const expected = [
    [503, 'dispatch_failed'],
    [429, 'dispatch_failed'],
    [409, 'dispatch_failed'],
    [500, 'dispatch_failed'],
    [401, 'dispatch_failed'],
    [404, 'script_not_found'],
  ] as const
  for (const [status, code] of expected) {
    answer = { status, body: { success: false, error: `answer ${status}` } }
    const id = await execute(lab)
    await until(`the run refused with ${status} ends`, async () => (await readRun(lab, id)).status === 'error')
    assert.equal((await readRun(lab, id)).error_code, code, `answer ${status}`)
  }
  await lab.hosts[0]?.kill()
  const id = await execute(lab)
  await until('the run on a dead host ends', async () => (await readRun(lab, id)).status === 'error')
  assert.equal((await readRun(lab, id)).error_code, 'dispatch_failed')
  assert.deepEqual((await lab.get<{ leases: unknown[] }>('/server/leases')).body.leases, [])
})

test('a host that hangs does not hold up the others', async (t) => {
  const lab = await startLab(t, { hosts: 3 })
  const [hanging] = lab.hosts
  hanging?.sleep()
  const stuck = await execute(lab, { script_name: 'demo' })
  for (const host_name of ['lab-2', 'lab-3']) {
    const ids = [0, 1, 2].map(() => execute(lab, { host_name, script_name: 'demo', queue: true }))
    for (const id of await Promise.all(ids)) {
      await until('runs of a healthy host end', async () => (await readRun(lab, id)).status === 'passed')
    }
  }
  assert.equal((await readRun(lab, stuck)).status, 'assigned')
  hanging?.wake()
  await until('the order arrives late', async () => (await readRun(lab, stuck)).status === 'passed')
})
