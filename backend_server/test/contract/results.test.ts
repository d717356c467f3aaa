import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { type Lab, startLab, until } from '../start-lab.ts'
import { nobody } from './every-route.ts'
import { assertEnvelope } from './raw-call.ts'
import { startScriptedHost } from './scripted-host.ts'
import { boxHost } from './wire-examples.ts'

type Fields = Record<string, unknown>
const isoWithOffset = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/

/** Fields of the protocol document, section 1 of the core API. */
const scriptResult = [
  'id',
  'team_id',
  'script_name',
  'script_type',
  'userinterface_name',
  'host_name',
  'device_name',
  'success',
  'execution_time_ms',
  'started_at',
  'completed_at',
  'html_report_r2_path',
  'html_report_r2_url',
  'logs_r2_path',
  'logs_r2_url',
  'discard',
  'discard_comment',
  'checked',
  'check_type',
  'error_msg',
  'metadata',
  'created_at',
  'updated_at',
  'status',
]
const executionResult = [
  'id',
  'team_id',
  'tree_id',
  'edge_id',
  'node_id',
  'action_set_id',
  'execution_type',
  'host_name',
  'device_model',
  'device_name',
  'success',
  'execution_time_ms',
  'message',
  'error_details',
  'executed_at',
  'created_at',
  'script_result_id',
  'script_context',
  'kpi_measurement_ms',
  'kpi_measurement_success',
  'kpi_measurement_error',
  'kpi_report_url',
  'tree_name',
  'element_name',
  'script_report_url',
]
const task = ['id', 'command', 'params', 'status', 'created_at', 'completed_at', 'result', 'error']
const scriptRun = [
  'success',
  'stdout',
  'stderr',
  'exit_code',
  'script_name',
  'device_id',
  'script_path',
  'parameters',
  'execution_time_ms',
  'report_url',
  'logs_url',
  'script_success',
]

const has = (one: Fields | undefined, names: readonly string[]) => {
  for (const name of names) assert.ok(one && Object.hasOwn(one, name), `lacks ${name}: ${Object.keys(one ?? {}).join(' ')}`)
}

async function ended(lab: Lab, id: string): Promise<Fields & { result: Fields }> {
  return until('the task ends', async () => {
    const answer = (await lab.get<{ task: Fields & { result: Fields } }>(`/server/script/status/${id}`)).body.task
    return answer.status !== 'started' && answer
  })
}

test('api-core.md 10: a script on an original host, from execute over the callback to the status', async (t) => {
  const host = await startScriptedHost(t, ({ path, body }) =>
    path === '/host/script/execute'
      ? { status: 202, body: { success: true, message: 'started', task_id: body.task_id } }
      : { status: 200, body: { success: true } },
  )
  const lab = await startLab(t, { hosts: 0 })
  await lab.post('/server/system/register', { ...boxHost, host_api_url: host.url })
  const execute = async (parameters?: string) => {
    const answer = await lab.post('/server/script/execute', {
      host_name: 'lab-2',
      device_id: 'device1',
      script_name: 'goto.py',
      parameters,
    })
    assert.equal(answer.status, 202, answer.text)
    assert.deepEqual([answer.body.success, answer.body.status, typeof answer.body.message], [true, 'started', 'string'])
    return String(answer.body.task_id)
  }
  const complete = (body: Fields) => lab.post('/server/script/taskComplete', body)
  const result = {
    stdout: 'line 1\nSCRIPT_SUCCESS:true\n',
    stderr: '',
    exit_code: 0,
    script_name: 'goto',
    device_id: 'device1',
    script_path: '/x/goto.py',
    parameters: '--node home',
    execution_time_ms: 41200,
    report_url: 'https://r.example/report.html',
    logs_url: 'https://r.example/execution.txt',
    script_success: true,
  }

  await t.test('the order, its status meanwhile, and the end', async () => {
    const id = await execute("--node 'home' --userinterface horizon_tv")
    const order = await until('the host is asked', () => host.seen.find((one) => one.path === '/host/script/execute'))
    assert.equal(order.query.team_id, defaultTeamId)
    assert.equal(order.query.device_id, 'device1')
    assert.equal(order.headers['content-type'], 'application/json')
    assert.deepEqual(
      [order.body.task_id, order.body.script_name, order.body.device_id, order.body.host_name],
      [id, 'goto', 'device1', 'lab-2'],
    )
    assert.equal(order.body.parameters, "--node 'home' --userinterface horizon_tv --host lab-2 --device device1")

    const open = (await lab.get<{ success: boolean; task: Fields }>(`/server/script/status/${id}`)).body
    has(open.task, task)
    assert.deepEqual(
      [
        open.success,
        open.task.id,
        open.task.command,
        open.task.status,
        open.task.completed_at,
        open.task.result,
        open.task.error,
      ],
      [true, id, 'script_execute', 'started', null, null, null],
    )
    assert.deepEqual(open.task.params, {
      script_name: 'goto',
      host_name: 'lab-2',
      device_id: 'device1',
      parameters: order.body.parameters,
    })
    assert.ok(Math.abs(Number(open.task.created_at) - Date.now() / 1000) < 30, 'epoch seconds')
    const busy = await lab.post('/server/script/execute', { host_name: 'lab-2', device_id: 'device1', script_name: 'goto' })
    assert.equal(busy.status, 423)

    const callback = await complete({ task_id: id, result })
    assert.deepEqual([callback.status, callback.body.success, typeof callback.body.message], [200, true, 'string'])
    const done = await ended(lab, id)
    assert.deepEqual([done.status, done.error, done.result.success], ['completed', null, true])
    has(done.result, scriptRun)
    for (const name of [
      'stdout',
      'exit_code',
      'script_path',
      'report_url',
      'logs_url',
      'script_success',
      'execution_time_ms',
    ] as const)
      assert.deepEqual(done.result[name], result[name], name)
    assert.ok(Number(done.completed_at) >= Number(done.created_at))
    assert.deepEqual((await lab.get('/server/control/lockedDevices')).body.locked_devices, {}, 'the device is free again')
  })

  await t.test('each way to end, in the words of the original', async () => {
    const cases: [Fields, Fields][] = [
      [{ result: { ...result, script_success: false } }, { status: 'completed', success: false, error: null }],
      [{ result: { exit_code: 0, script_success: null } }, { status: 'completed', success: true, error: null }],
      [{ result: { exit_code: 1 } }, { status: 'completed', success: false, error: null }],
      [{ error: 'no such file' }, { status: 'failed', success: false, error: 'host_error: no such file' }],
      [
        { result: null, error: 'boom' },
        { status: 'failed', success: false, error: 'host_error: boom' },
      ],
      [{}, { status: 'completed', success: false, error: null }],
    ]
    for (const [callback, expected] of cases) {
      const id = await execute()
      assert.equal((await complete({ task_id: id, ...callback })).status, 200)
      const done = await ended(lab, id)
      assert.deepEqual(
        { status: done.status, success: done.result.success, error: done.error },
        expected,
        JSON.stringify(callback),
      )
    }
  })

  await t.test('a second callback changes nothing; an unknown task is answered with success, as nothing repeats it', async () => {
    const id = await execute()
    await complete({ task_id: id, result })
    const late = await complete({ task_id: id, result: { ...result, script_success: false } })
    assert.deepEqual([late.status, late.body.success], [200, true])
    assert.equal((await ended(lab, id)).result.success, true)
    for (const unknown of [nobody.runId, 'not-a-uuid']) assert.equal((await complete({ task_id: unknown, result })).status, 200)
    const missing = await complete({ result })
    assert.deepEqual([missing.status, missing.body.error], [400, 'Missing required fields: task_id'])
  })

  await t.test('failures of execute and status', async () => {
    const cases: [Fields, number, string | undefined][] = [
      [{ device_id: 'device1', script_name: 'a' }, 400, undefined],
      [{ host_name: 'lab-2', script_name: 'a' }, 400, undefined],
      [{ host_name: 'lab-2', device_id: 'device1' }, 400, undefined],
      [{ host_name: 'nobody', device_id: 'device1', script_name: 'a' }, 404, 'device_not_found'],
      [{ host_name: 'lab-2', device_id: 'device9', script_name: 'a' }, 404, 'device_not_found'],
    ]
    for (const [body, status, errorType] of cases) {
      const answer = await lab.post('/server/script/execute', body)
      assert.deepEqual([answer.status, answer.body.errorType], [status, errorType], answer.text)
      assertEnvelope(answer, 'execute')
    }
    for (const id of [nobody.runId, 'nonsense']) assert.equal((await lab.get(`/server/script/status/${id}`)).status, 404)
  })
})

test('api-core.md 13: script results and execution results', async (t) => {
  const lab = await startLab(t, { host: { runMs: () => 600_000 } })
  const execute = await lab.post('/server/script/execute', {
    host_name: 'lab-1',
    device_id: 'device1',
    script_name: 'zapping.ts',
    parameters: '--userinterface "horizon tv"',
  })
  const id = String(execute.body.task_id)
  const results = (query = '') => lab.get<Fields[]>(`/server/script-results/getAllScriptResults${query}`)

  await t.test('while it goes on', async () => {
    const row = (await results()).body[0]
    has(row, scriptResult)
    assert.ok(['assigned', 'running'].includes(String(row?.status)))
    assert.deepEqual([row?.success, row?.completed_at], [false, null])
  })

  await t.test('the row of an ended run', async () => {
    const token = (await lab.get<{ leases: { token: number }[] }>('/server/leases')).body.leases[0]?.token
    const steps = [
      {
        position: 1,
        kind: 'action',
        name: 'open the menu',
        started_at: '2026-01-01T00:00:00Z',
        duration_ms: 12.4,
        outcome: 'passed',
      },
      {
        position: 2,
        kind: 'verification',
        name: 'menu is open',
        started_at: '2026-01-01T00:00:01+01:00',
        duration_ms: 3,
        outcome: 'failed',
        message: 'no menu',
      },
      { position: 3, name: 'block', started_at: '2026-01-01T00:00:02Z' },
    ]
    const progress = await lab.post(`/server/runs/${id}/progress`, { host_name: 'lab-1', token, steps })
    assert.equal(progress.status, 200, progress.text)
    await until('the host has the order', () => lab.hosts[0]?.runs.has(id))
    await lab.hosts[0]?.endRun(id)
    await ended(lab, id)
    await until('the report is written', async () => typeof (await results()).body[0]?.html_report_r2_url === 'string')
    const row = (await results()).body[0]
    has(row, scriptResult)
    assert.deepEqual(
      [
        row?.id,
        row?.team_id,
        row?.script_name,
        row?.script_type,
        row?.userinterface_name,
        row?.host_name,
        row?.device_name,
        row?.success,
        row?.status,
      ],
      [id, defaultTeamId, 'zapping.ts', 'script', 'horizon tv', 'lab-1', 'lab-1 box 1', true, 'passed'],
    )
    for (const name of ['started_at', 'completed_at', 'created_at', 'updated_at'])
      assert.match(String(row?.[name]), isoWithOffset, name)
    assert.equal(typeof row?.execution_time_ms, 'number')
    assert.deepEqual(
      [row?.discard, row?.discard_comment, row?.checked, row?.check_type, row?.error_msg],
      [false, null, false, null, null],
    )
  })

  await t.test('its steps as execution results, newest first', async () => {
    const { status, body } = await lab.get<Fields[]>('/server/execution-results/getAllExecutionResults')
    assert.equal(status, 200)
    assert.ok(Array.isArray(body))
    for (const row of body) has(row, executionResult)
    assert.deepEqual(
      body.map((row) => [
        row.execution_type,
        row.element_name,
        row.success,
        row.execution_time_ms,
        row.message,
        row.script_result_id,
        row.tree_name,
      ]),
      [
        ['action', 'block', false, null, 'the run ended during this step', id, 'Unknown Tree'],
        ['action', 'open the menu', true, 12, null, id, 'Unknown Tree'],
        ['verification', 'menu is open', false, 3, 'no menu', id, 'Unknown Tree'],
      ],
    )
  })

  await t.test('marking as looked at, and leaving out of statistics', async () => {
    const put = (path: string, body: Fields) => lab.call('PUT', `/server/script-results/${path}`, { body })
    const row = async () => (await results()).body[0]
    const checked = await put(`updateCheckedStatus/${id}`, { checked: true })
    assert.deepEqual([checked.status, checked.body], [200, { status: 'success' }])
    assert.deepEqual([(await row())?.checked, (await row())?.check_type], [true, 'manual'])
    const discarded = await put(`updateDiscardStatus/${id}`, { discard: true, discard_comment: 'box was off', check_type: 'ai' })
    assert.deepEqual([discarded.status, discarded.body], [200, { status: 'success' }])
    assert.deepEqual(
      [(await row())?.discard, (await row())?.discard_comment, (await row())?.check_type],
      [true, 'box was off', 'ai'],
    )
    await put(`updateDiscardStatus/${id}`, { discard: false, discard_comment: 'it was on' })
    assert.deepEqual(
      [(await row())?.discard, (await row())?.discard_comment, (await row())?.check_type],
      [false, 'box was off\n\nHuman: it was on', 'ai_and_human'],
    )
    for (const path of ['updateCheckedStatus', 'updateDiscardStatus']) {
      const body = { checked: true, discard: true }
      assert.equal((await put(`${path}/${nobody.runId}`, body)).status, 404)
      assert.equal((await put(`${path}/nonsense`, body)).status, 400)
      const missing = await put(`${path}/${id}`, {})
      assert.equal(missing.status, 400)
      assertEnvelope(missing, path)
    }
  })

  await t.test('filters', async () => {
    assert.equal((await results('?success=true&script_name=zapping.ts&host_name=lab-1&limit=1')).body.length, 1)
    for (const query of ['?success=false', '?script_name=other', '?host_name=other', '?before=2020-01-01T00:00:00Z'])
      assert.deepEqual((await results(query)).body, [], query)
    for (const query of ['?limit=0', '?limit=501', '?success=maybe', '?before=yesterday'])
      assert.equal((await results(query)).status, 400, query)
  })
})
