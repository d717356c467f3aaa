import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { defaultTeamId } from '@virtualpytest/shared'
import { type Lab, startLab, until } from '../start-lab.ts'

type Body = Record<string, unknown>
interface Status {
  success: boolean
  status: string
  result: (Body & { results: Body[] }) | null
  error: string | null
  progress: number
  outcome: string
}

const apiKey = 'shared-key-of-this-lab'
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const query = `?team_id=${defaultTeamId}`
const target = { host_name: 'lab-1', device_id: 'device1' }

/** What this server has kept of a batch, as the lists of runs and events show it. */
const readRun = async (lab: Lab, id: string) => (await lab.get<{ run: Body; steps: Body[] }>(`/server/runs/${id}${query}`)).body

async function finished(lab: Lab, kind: string, id: string): Promise<Status> {
  return until(`${kind} ${id} ends`, async () => {
    const path = `/server/${kind}/execution/${id}/status${query}&host_name=lab-1&device_id=device1`
    const answer = await lab.get<Status>(path)
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.body.success, true)
    return answer.body.status === 'running' ? undefined : answer.body
  })
}

const press = (key: string) => ({ command: 'press_key', params: { key, wait_time: 10 }, action_type: 'remote' })

for (const original of [true, false]) {
  const kind = original ? 'an original host' : 'an agent'
  test(`api-core.md 5: actions, verifications and blocks on ${kind}, as the web app starts and polls them`, async (t) => {
    const lab = await startLab(t, { host: { original, apiKey }, env: { API_KEY: apiKey } })
    const [host] = lab.hosts
    assert.ok(host)
    const start = async (path: string, body: Body) => {
      const answer = await lab.post(`/server/${path}${query}`, { ...target, ...body })
      assert.equal(answer.status, 200, answer.text)
      assert.deepEqual([answer.body.success, typeof answer.body.message], [true, 'string'])
      assert.match(String(answer.body.execution_id), uuid)
      return String(answer.body.execution_id)
    }

    await t.test('a batch of actions: what reaches the host, the status object, the run with its steps', async () => {
      const batch = {
        actions: [press('OK'), press('BACK')],
        retry_actions: [press('HOME')],
        failure_actions: [{ command: 'launch_app', params: { package: 'org.example.tv' } }],
        tree_id: 'tree-1',
        edge_id: 'edge-1',
        action_set_id: 'home_to_live',
      }
      const id = await start('action/executeBatch', batch)
      const asked = host.calls.last('/host/action/executeBatch')
      assert.equal(asked.query.team_id, defaultTeamId)
      for (const [name, value] of Object.entries(batch)) assert.deepEqual(asked.body[name], value, name)
      assert.equal(asked.body.execution_id, original ? undefined : id)

      const status = await finished(lab, 'action', id)
      assert.deepEqual([status.status, status.progress, status.outcome, status.error], ['completed', 100, 'passed', null])
      assert.deepEqual([status.result?.success, status.result?.total_count, status.result?.passed_count], [true, 2, 2])
      const { run, steps } = await readRun(lab, id)
      assert.deepEqual([run.kind, run.status, run.name], ['batch', 'passed', 'press_key OK, press_key BACK'])
      assert.deepEqual(run.metadata, { batch: 'action', tree_id: 'tree-1', edge_id: 'edge-1', action_set_id: 'home_to_live' })
      assert.deepEqual(
        steps.map((step) => [step.position, step.kind, step.name, step.outcome]),
        [
          [1, 'action', 'press_key OK', 'passed'],
          [2, 'action', 'press_key BACK', 'passed'],
        ],
      )
    })

    await t.test('an action that fails is `completed` with a result that did not succeed', async () => {
      const id = await start('action/execute', { action: { command: 'fail_key' } })
      const status = await finished(lab, 'action', id)
      assert.deepEqual([status.status, status.result?.success, status.outcome], ['completed', false, 'failed'])
      assert.equal((await readRun(lab, id)).run.status, 'failed')
    })

    await t.test('a verification that fails is `error` with progress 100 and its result', async () => {
      const verification = { command: 'waitForImageToAppear', verification_type: 'image', params: { image_path: 'logo' } }
      const verifications = [
        { ...verification, userinterface_name: 'tv', verification_pass_condition: 'all' },
        { ...verification, command: 'fail_image' },
      ]
      const id = await start('verification/executeBatch', { verifications, node_id: 'home', tree_id: 'tree-1' })
      assert.deepEqual(host.calls.last('/host/verification/executeBatch').body.verifications, verifications)
      const status = await finished(lab, 'verification', id)
      assert.deepEqual([status.status, status.progress, status.result?.success, status.outcome], ['error', 100, false, 'failed'])
      assert.equal(status.result?.results.length, 2)
      const { steps } = await readRun(lab, id)
      assert.deepEqual(
        steps.map((step) => [step.kind, step.name, step.outcome, (step.details as Body).matching_result]),
        [
          ['verification', 'waitForImageToAppear', 'passed', 0.97],
          ['verification', 'fail_image', 'failed', 0.2],
        ],
      )
      const missing = await lab.post(`/server/verification/executeBatch${query}`, { ...target, verifications: [verification] })
      assert.deepEqual([missing.status, missing.body.code], [400, 'validation_error'], 'the first one names its interface')
    })

    await t.test('a block, and the list of blocks', async () => {
      const good = await finished(lab, 'builder', await start('builder/execute', { command: 'sleep', params: { duration: 0.1 } }))
      assert.deepEqual([good.status, good.result?.results[0]?.result_success, good.outcome], ['completed', 0, 'passed'])
      const bad = await finished(lab, 'builder', await start('builder/execute', { command: 'fail_block' }))
      assert.deepEqual([bad.status, bad.result?.results[0]?.result_success, bad.outcome], ['completed', 1, 'failed'])
      const blocks = await lab.get<{ blocks: Body[] }>(`/server/builder/blocks${query}&host_name=lab-1`)
      assert.deepEqual([blocks.status, blocks.body.blocks[0]?.command], [200, 'sleep'])
    })

    await t.test('batches are no script results, are listed when asked for, and stand among the execution results', async () => {
      assert.deepEqual((await lab.get(`/server/script-results/getAllScriptResults${query}`)).body, [])
      assert.equal((await lab.get<{ runs: Body[] }>(`/server/runs${query}`)).body.runs.length, 0)
      assert.equal((await lab.get<{ runs: Body[] }>(`/server/runs${query}&kind=batch`)).body.runs.length, 5)
      const results = (await lab.get<Body[]>(`/server/execution-results/getAllExecutionResults${query}`)).body
      assert.equal(results.length, 7)
      assert.ok(results.every((one) => one.script_context === 'direct' && one.script_report_url === null))
      assert.ok(results.some((one) => one.edge_id === 'edge-1' && one.action_set_id === 'home_to_live'))
    })

    await t.test('unknown executions are 404', async () => {
      for (const id of ['no-such-id', '00000000-0000-4000-8000-000000000001']) {
        const answer = await lab.get(`/server/action/execution/${id}/status${query}&host_name=lab-1`)
        assert.deepEqual([answer.status, answer.body.code], [404, 'execution_not_found'])
      }
    })
  })
}

test('a batch that cannot begin ends as a run too, and its failure says how much passed', async (t) => {
  const lab = await startLab(t)
  const [host] = lab.hosts
  assert.ok(host)
  host.calls.override = () => ({ status: 500, body: { success: false, error: 'no controller' } })
  const answer = await lab.post(`/server/action/executeBatch${query}`, { ...target, actions: [press('OK'), press('OK')] })
  assert.deepEqual(
    [answer.status, answer.body.code, answer.body.error, answer.body.passed_count, answer.body.total_count],
    [500, 'host_error', 'no controller', 0, 2],
  )
  const { runs } = (await lab.get<{ runs: Body[] }>(`/server/runs${query}&kind=batch`)).body
  assert.deepEqual([runs[0]?.status, runs[0]?.error_code], ['error', 'dispatch_failed'])
  host.calls.override = undefined
  const empty = await lab.post(`/server/action/executeBatch${query}`, { ...target, actions: [] })
  assert.equal(empty.status, 400)
})

test('progress and end of a batch are events of its device and its run', async (t) => {
  const lab = await startLab(t, { host: { batchMs: 1500 } })
  const answer = await lab.post(`/server/action/executeBatch${query}`, { ...target, actions: [press('OK')] })
  const id = String(answer.body.execution_id)
  const room = `device:lab-1:device1`
  const stopping = new AbortController()
  t.after(() => stopping.abort())
  const stream = await fetch(`${lab.url}/server/events?rooms=${encodeURIComponent(room)}&after=0`, { signal: stopping.signal })
  let text = ''
  const types = () =>
    [...text.matchAll(/^data: (.*)$/gm)].flatMap(([, json]) => {
      const event = JSON.parse(json ?? '{}') as { type?: string; subject?: { id: string }; data?: Body }
      return event.subject?.id === id ? [event] : []
    })
  void (async () => {
    for await (const chunk of stream.body as unknown as AsyncIterable<Uint8Array>) text += Buffer.from(chunk).toString()
  })().catch(() => undefined)
  await until('the end is announced', () => types().some((event) => event.type === 'run.finished'))
  const seen = types().map((event) => event.type)
  assert.equal(seen[0], 'run.running')
  assert.ok(seen.filter((type) => type === 'run.progress').length >= 1, seen.join())
  assert.ok(seen.includes('run.step'))
  const last = types().at(-1)
  assert.deepEqual([last?.type, last?.data?.success, last?.data?.kind], ['run.finished', true, 'batch'])
})

test('nobody polls: the result is kept all the same, and a host that forgets it afterwards changes nothing', async (t) => {
  const lab = await startLab(t, { host: { batchMs: 200 } })
  const [host] = lab.hosts
  const answer = await lab.post(`/server/action/executeBatch${query}`, { ...target, actions: [press('OK')] })
  const id = String(answer.body.execution_id)
  await until('the run has ended by itself', async () => (await readRun(lab, id)).run.status === 'passed')
  host?.calls.forget()
  const asked = host?.calls.seen.length
  const status = await finished(lab, 'action', id)
  assert.deepEqual([status.status, status.result?.success], ['completed', true])
  assert.equal(host?.calls.seen.length, asked, 'the host is not asked again')
})

test('a host that was restarted in the middle ends the batch as an error that says so', async (t) => {
  const lab = await startLab(t, { host: { batchMs: 60_000 } })
  const answer = await lab.post(`/server/action/executeBatch${query}`, { ...target, actions: [press('OK')] })
  lab.hosts[0]?.calls.forget()
  const status = await finished(lab, 'action', String(answer.body.execution_id))
  assert.deepEqual([status.status, status.result, status.outcome], ['error', null, 'error'])
  assert.match(String(status.error), /^host_restarted: /)
})

test('a batch survives a restart of the server: status and result come from its database', async (t) => {
  const lab = await startLab(t, { host: { batchMs: 1500 } })
  const start = async () => {
    const answer = await lab.post(`/server/action/executeBatch${query}`, { ...target, actions: [press('OK')] })
    return String(answer.body.execution_id)
  }
  const early = await start()
  await finished(lab, 'action', early)
  const open = await start()
  await lab.restart()
  assert.equal((await finished(lab, 'action', early)).outcome, 'passed')
  await pause(1600)
  await until('the open one has ended without anybody asking', async () => (await readRun(lab, open)).run.status === 'passed')
  const status = await finished(lab, 'action', open)
  assert.deepEqual([status.status, status.result?.success], ['completed', true])
})

test('web.executeCommand browser_use_task: 202, then the callback ends the task once', async (t) => {
  const lab = await startLab(t, { host: { original: true, apiKey, browser: true }, env: { API_KEY: apiKey } })
  const answer = await lab.post(`/server/web/executeCommand${query}`, {
    host_name: 'lab-1',
    command: 'browser_use_task',
    params: { task: 'find the weather', max_steps: 5 },
  })
  assert.equal(answer.status, 202, answer.text)
  const { task_id, status } = answer.body
  assert.deepEqual([answer.body.success, status], [true, 'started'])
  const asked = lab.hosts[0]?.calls.last('/host/web/executeCommand').body
  assert.deepEqual(
    [asked?.task_id, asked?.callback_url, asked?.device_id],
    [task_id, `${lab.url}/server/web/taskComplete`, 'host'],
  )
  const task = async () =>
    (await lab.get<{ task: Body & { result: Body | null } }>(`/server/script/status/${String(task_id)}${query}`)).body.task
  assert.equal((await task()).status, 'started')
  const headers = { 'x-api-key': apiKey }
  const callback = { task_id, result: { success: true, execution_time: 5300 }, execution_logs: 'opened\n', error: null }
  assert.equal((await lab.post('/server/web/taskComplete', callback, { headers })).body.message, 'Task completed')
  const again = await lab.post('/server/web/taskComplete', { task_id, error: 'late' }, { headers })
  assert.deepEqual([again.status, again.body.success], [200, true])
  const ended = await task()
  assert.deepEqual(
    [ended.status, ended.run_status, ended.result?.success, ended.result?.stdout],
    ['completed', 'passed', true, 'opened\n'],
  )
  assert.equal((await lab.post('/server/web/taskComplete', { task_id: 'unknown' }, { headers })).status, 200)
  assert.equal((await lab.post('/server/web/taskComplete', {}, { headers })).status, 400)
})
