import assert from 'node:assert/strict'
import { hostname, userInfo } from 'node:os'
import test from 'node:test'
import { until } from '../until.ts'
import { aRun, aStep, errorAnswer, startFakeApi } from './fake-api.ts'
import { startVpt, vpt } from './run-vpt.ts'

const runArguments = ['run', 'zapping.ts', '--device', 'rack-1:device1']

test('the exit code of vpt run is the verdict, and its last lines say why and where the report is', async (t) => {
  const ends = [
    { status: 'passed', code: 0, says: /^PASSED {2}zapping\.ts on Living room box \(rack-1:device1\), 4\.2 s/m },
    { status: 'failed', code: 1, says: /^FAILED .*\n {2}no picture\n {2}report {2}http/m, error_message: 'no picture' },
    { status: 'error', code: 2, says: /^ERROR .*\n {2}host_lost: no beat/m, error_code: 'host_lost', error_message: 'no beat' },
    { status: 'cancelled', code: 3, says: /^CANCELLED /m },
  ] as const
  await Promise.all(
    ends.map(async ({ code, says, ...end }) => {
      const api = await startFakeApi(t, {
        ...end,
        finished_at: new Date().toISOString(),
        duration_ms: 4200,
        report_url: '/server/runs/x/report',
      })
      const result = await vpt(t, runArguments, { VPT_SERVER: api.url })
      assert.equal(result.code, code, result.stderr)
      assert.match(result.stdout, says)
      assert.ok(result.stdout.includes(`${api.url}/server/runs/x/report`))
      assert.ok(!result.stdout.includes('\u001B'), 'no colors in a pipe')
    }),
  )
})

test('arguments, options and credentials reach the server as the contract has them', async (t) => {
  const api = await startFakeApi(t, { status: 'passed', report_url: '/r' })
  const more = [
    '-p',
    'channels=5',
    '-p',
    "title=it's on",
    '-p',
    'offset=-3',
    '-p',
    'fast',
    '--args',
    '--last "one"',
    '--queue',
    '--timeout',
    '60',
    '--retries',
    '2',
  ]
  const env = { VPT_SERVER: `${api.url}/`, VPT_TOKEN: 'vpt_secret', VPT_TEAM: '11111111-1111-4111-8111-111111111111' }
  const result = await vpt(t, [...runArguments, ...more, '--idempotency-key', 'build-7'], env)
  assert.equal(result.code, 0, result.stderr)
  const [submit] = api.requestsOf('POST /server/script/execute')
  assert.deepEqual(submit?.body, {
    host_name: 'rack-1',
    device_id: 'device1',
    script_name: 'zapping.ts',
    parameters: `--channels 5 --title 'it'\\''s on' --offset=-3 --fast --last "one"`,
    user_id: `${userInfo().username}@${hostname()}`,
    queue: true,
    timeout_seconds: 60,
    retries: 2,
  })
  assert.equal(submit.headers['idempotency-key'], 'build-7')
  for (const request of api.requests) {
    assert.equal(request.headers.authorization, 'Bearer vpt_secret')
    assert.equal(request.query.get('team_id'), env.VPT_TEAM)
  }
  assert.ok(!`${result.stdout}${result.stderr}`.includes('vpt_secret'))
})

test('vpt run --watch shows each step and each line once, also after the stream was cut', async (t) => {
  const api = await startFakeApi(t)
  const started = startVpt(t, [...runArguments, '--watch'], { VPT_SERVER: api.url })
  await until('the stream is open', () => api.streams() === 1)
  assert.equal(api.requestsOf('GET /server/events')[0]?.query.get('rooms'), `run:${api.run.id}`)

  const add = (step: ReturnType<typeof aStep>, lines: string[], isLost = false): number => {
    api.event('run.log', { from: api.lines.length, lines }, { isLost })
    api.lines.push(...lines)
    api.steps.push(step)
    return api.event('run.step', { step }, { isLost })
  }
  const seen = add(aStep(1, 'Open live TV', { details: { measures: [{ name: 'zap', value: 640, unit: 'ms' }] } }), [
    'line-0',
    'line-1',
  ])
  await until('the first step is shown', () => started.stdout().includes('Open live TV'))

  api.on('GET /server/events', () => errorAnswer(503, 'not_ready', 'The server is starting.'))
  api.cutStreams()
  const lost = add(aStep(2, 'Zap up', { outcome: 'failed', message: 'black screen' }), ['line-2'], true)
  await until('it asked again', () => api.requestsOf('GET /server/events').length >= 2)
  api.on('GET /server/events', null)
  await until('the stream is open again', () => api.streams() === 1)
  assert.equal(
    api.requestsOf('GET /server/events').at(-1)?.query.get('after'),
    String(seen),
    'it goes on after the last event it saw',
  )

  // The server repeats what was lost, although a look at the run has told it already.
  api.event('run.log', { from: 2, lines: ['line-2'] }, { seq: lost - 1 })
  api.event('run.step', { step: { ...aStep(2, 'Zap up'), outcome: null, duration_ms: null } }, { seq: lost })
  // A gap: lines 3 and 4 never come as an event.
  api.lines.push('line-3', 'line-4')
  api.event('run.log', { from: 5, lines: ['line-5'] })
  api.lines.push('line-5')
  api.finish({ status: 'failed', error_message: 'The script ended with exit code 1.' })

  assert.equal(await started.ended, 1, started.stderr())
  const shown = started.stdout().split('\n')
  assert.deepEqual(
    shown.filter((line) => line.includes('│')).map((line) => line.replace(/^.*│ /, '')),
    ['line-0', 'line-1', 'line-2', 'line-3', 'line-4', 'line-5'],
  )
  assert.deepEqual(
    shown.filter((line) => /^[✓✗]/.test(line)).map((line) => line.replace(/ {2,}/g, ' | ')),
    ['✓ Open live TV | 812 ms | zap 640 ms', '✗ Zap up | 812 ms'],
  )
  assert.ok(shown.includes('  black screen'))
})

test('vpt run --watch outlives a server that is away for a while', async (t) => {
  const api = await startFakeApi(t)
  const started = startVpt(t, [...runArguments, '--watch'], { VPT_SERVER: api.url })
  await until('the stream is open', () => api.streams() === 1)
  await api.stop()
  await until('the person is told', () => started.stderr().includes('Trying again'))
  api.steps.push(aStep(1, 'Done meanwhile'))
  api.run = { ...api.run, status: 'passed', report_url: '/r', finished_at: new Date().toISOString() }
  await api.start()
  assert.equal(await started.ended, 0, started.stderr())
  assert.match(started.stdout(), /✓ Done meanwhile/)
})

test('a server without an event stream is asked again and again instead', async (t) => {
  const api = await startFakeApi(t)
  api.on('GET /server/events', () => errorAnswer(404, 'route_not_found', 'There is no such route.'))
  const started = startVpt(t, [...runArguments, '--watch'], { VPT_SERVER: api.url })
  await until('it looks twice', () => api.requestsOf(`GET /server/runs/${api.run.id}`).length >= 2)
  api.steps.push(aStep(1, 'Seen by asking'))
  api.run = { ...api.run, status: 'passed', report_url: '/r', finished_at: new Date().toISOString() }
  assert.equal(await started.ended, 0, started.stderr())
  assert.match(started.stdout(), /✓ Seen by asking/)
})

test('Ctrl-C cancels the run that vpt run started, and waits for its end', async (t) => {
  const api = await startFakeApi(t)
  const started = startVpt(t, [...runArguments, '--watch'], { VPT_SERVER: api.url })
  await until('the stream is open', () => api.streams() === 1)
  started.child.kill('SIGINT')
  await until('the server is asked', () => api.requestsOf(`POST /server/runs/${api.run.id}/cancel`).length === 1)
  api.finish({ status: 'cancelled' })
  assert.equal(await started.ended, 3, started.stderr())
})

test('Ctrl-C leaves a run alone that vpt watch only looks at', async (t) => {
  const api = await startFakeApi(t)
  const started = startVpt(t, ['watch', 'last'], { VPT_SERVER: api.url })
  await until('the stream is open', () => api.streams() === 1)
  started.child.kill('SIGINT')
  assert.equal(await started.ended, 130)
  assert.equal(api.requestsOf(`POST /server/runs/${api.run.id}/cancel`).length, 0)
})

test('a retry after an end by infrastructure is followed, and its verdict counts', async (t) => {
  const api = await startFakeApi(t, {
    status: 'error',
    failure_class: 'infrastructure',
    error_code: 'host_lost',
    retries_left: 1,
    report_url: '/first',
  })
  const first = api.run
  const second = aRun({ status: 'passed', retry_of: first.id, attempt: 2, report_url: '/second' })
  api.on('GET /server/runs', () => ({ body: { success: true, runs: [second, first], next_before: null } }))
  api.on(`GET /server/runs/${second.id}`, () => ({ body: { success: true, run: second, steps: [], artifacts: [] } }))
  const result = await vpt(t, [...runArguments, '--retries', '1'], { VPT_SERVER: api.url })
  assert.equal(result.code, 0, result.stderr)
  assert.match(result.stderr, /Attempt 1 ended by host_lost; attempt 2 follows/)
  assert.match(result.stdout, /\/second/)
})

test('a submit whose connection broke is repeated with the same key, and a refused one is not', async (t) => {
  const api = await startFakeApi(t, { status: 'passed', report_url: '/r' })
  let count = 0
  api.on('POST /server/script/execute', () => {
    count += 1
    if (count > 1) api.on('POST /server/script/execute', null)
    return 'cut'
  })
  const result = await vpt(t, runArguments, { VPT_SERVER: api.url })
  assert.equal(result.code, 0, result.stderr)
  const keys = api.requestsOf('POST /server/script/execute').map((request) => request.headers['idempotency-key'])
  assert.equal(keys.length, 3)
  assert.equal(new Set(keys).size, 1)

  const busy = await startFakeApi(t)
  busy.on('POST /server/script/execute', () => errorAnswer(423, 'device_locked', 'Device is locked by ann', { locked_by: 'ann' }))
  const refused = await vpt(t, runArguments, { VPT_SERVER: busy.url })
  assert.equal(refused.code, 4)
  assert.equal(busy.requests.length, 1)
  assert.match(refused.stderr, /vpt: Device is locked by ann \(device_locked, 423, request f3b1a6de-/)
  assert.match(refused.stderr, /--queue/)
})

test('--json prints one object, with --watch one object a line, and nothing else on standard output', async (t) => {
  const api = await startFakeApi(t)
  const watching = startVpt(t, [...runArguments, '--watch', '--json'], { VPT_SERVER: api.url })
  await until('the stream is open', () => api.streams() === 1)
  api.steps.push(aStep(1, 'One'))
  api.lines.push('hello')
  api.finish({ status: 'failed' })
  assert.equal(await watching.ended, 1, watching.stderr())
  const objects = watching
    .stdout()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string })
  assert.deepEqual([...new Set(objects.map(({ type }) => type))].toSorted(), ['log', 'result', 'run', 'step'])
  assert.equal(objects.at(-1)?.type, 'result')

  const quiet = await vpt(t, [...runArguments, '--json'], { VPT_SERVER: api.url })
  assert.equal(quiet.code, 1)
  const result = JSON.parse(quiet.stdout) as { success: boolean; verdict: string; report_url: string; steps: unknown[] }
  assert.deepEqual([result.success, result.verdict, result.steps.length], [false, 'failed', 1])
  assert.equal(result.report_url, `${api.url}/server/runs/${api.run.id}/report`)
})

test('--detach prints the id and does not wait', async (t) => {
  const api = await startFakeApi(t, { status: 'queued' })
  const result = await vpt(t, [...runArguments, '--detach'], { VPT_SERVER: api.url })
  assert.equal(result.code, 0)
  assert.equal(result.stdout, `${api.run.id}\n`)
})

test('texts from devices and scripts cannot move the cursor or hide lines', async (t) => {
  const evil = 'a\u001B[2Jb\u001B]0;title\u0007c\rd\u202Ee'
  const api = await startFakeApi(t, { status: 'failed', device_name: evil, error_message: evil, report_url: '/r' })
  api.steps.push(
    aStep(1, evil, { outcome: 'failed', message: evil, details: { measures: [{ name: evil, value: 1, unit: evil }] } }),
  )
  api.lines.push(evil)
  for (const args of [[...runArguments, '--watch'], ['show', api.run.id], ['runs'], ['watch', api.run.id]]) {
    const result = await vpt(t, args, { VPT_SERVER: api.url })
    assert.doesNotMatch(`${result.stdout}${result.stderr}`, /(?!\n)[\p{Cc}\p{Bidi_Control}]/u, args.join(' '))
  }
})
