import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import test from 'node:test'
import type { Run, RunStep } from '@virtualpytest/shared'
import { type ReportArtifact, type ReportInput, renderReport } from './render-report.ts'

const runId = '3f1c2a7e-5a0b-4a44-9a0f-6a7f3c1d2e90'
const onePixel =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=='
const at = (ms: number): string => new Date(Date.parse('2026-11-14T14:03:11.250Z') + ms).toISOString()

const aRun = (changes: Partial<Run> = {}): Run => ({
  id: runId,
  team_id: randomUUID(),
  kind: 'script',
  name: 'zapping.ts',
  parameters: '--channels 10',
  host_name: 'demo-host',
  device_id: 'device1',
  device_name: 'Living room box',
  device_model: 'stb',
  status: 'passed',
  success: true,
  failure_class: null,
  error_code: null,
  error_message: null,
  source: 'manual',
  requested_by: 'ann@example.org',
  retry_of: null,
  attempt: 1,
  retries_left: 0,
  priority: 50,
  queue_position: null,
  cancel_requested: false,
  queued_at: at(0),
  assigned_at: at(4000),
  started_at: at(4500),
  finished_at: at(28_700),
  deadline_at: at(3_600_000),
  duration_ms: 24_200,
  report_url: null,
  logs_url: null,
  checked: false,
  discarded: false,
  metadata: {},
  ...changes,
})

const aStep = (position: number, changes: Partial<RunStep> = {}): RunStep => ({
  position,
  kind: 'block',
  name: `Zap to ${position}`,
  started_at: at(5000 + position * 1000),
  duration_ms: 900,
  outcome: 'passed',
  message: null,
  details: null,
  screenshot_artifact_id: null,
  ...changes,
})

const aScreenshot = (changes: Partial<ReportArtifact> = {}): ReportArtifact => ({
  id: randomUUID(),
  kind: 'screenshot',
  name: 'step.png',
  content_type: 'image/png',
  size_bytes: 68,
  run_id: runId,
  ...changes,
})

const render = (input: Partial<ReportInput> = {}): string =>
  renderReport({ run: aRun(), steps: [], logTail: [], logLines: 0, pictures: new Map(), artifacts: [], ...input })

const textOf = (page: string): string =>
  page
    .replace(/<style>[\s\S]*?<\/style>/g, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ')

test('the verdict is the first thing a reader sees, in words, for each way a run can end', () => {
  for (const [status, word] of [
    ['passed', 'Passed'],
    ['failed', 'Failed'],
    ['error', 'Error'],
    ['cancelled', 'Cancelled'],
    ['running', 'Not finished'],
  ] as const) {
    const page = render({ run: aRun({ status }) })
    assert.match(page, new RegExp(`<title>${word}: zapping.ts on Living room box</title>`))
    assert.match(textOf(page).replace(/^.*?run report/, ''), new RegExp(`^ ${word} zapping.ts on Living room box`))
    assert.equal(page.includes('What went wrong') || page.includes('Why it ended'), status !== 'passed', status)
  }
})

test('a failed run shows its error first: the step, its message and its picture, before facts, steps and log', () => {
  const shot = aScreenshot()
  const steps = [
    aStep(1),
    aStep(2, { outcome: 'failed', message: 'expected "Kids"', screenshot_artifact_id: shot.id }),
    aStep(3, { outcome: 'skipped' }),
  ]
  const run = aRun({
    status: 'failed',
    success: false,
    error_message: 'The script ended with exit code 1.',
    failure_class: 'product',
  })
  const page = render({
    run,
    steps,
    artifacts: [shot],
    pictures: new Map([[shot.id, onePixel]]),
    logTail: ['a line'],
    logLines: 1,
  })
  const order = [
    'Failed',
    'What went wrong',
    'Step 2 of 3',
    'expected &quot;Kids&quot;',
    'exit code 1',
    onePixel,
    '>Parameters<',
    'id="steps"',
    'id="log"',
  ]
  const places = order.map((text) => page.indexOf(text))
  assert.deepEqual(
    places,
    places.toSorted((one, other) => one - other),
  )
  assert.ok(!places.includes(-1), `missing: ${order.filter((_, index) => places[index] === -1).join(', ')}`)
})

test('of failed steps that lie within each other, the innermost one is the error', () => {
  const outer = aStep(1, {
    name: 'Walk the menu',
    outcome: 'failed',
    started_at: at(5000),
    duration_ms: 3000,
    message: 'see inside',
  })
  const inner = aStep(2, {
    name: 'Open settings',
    outcome: 'failed',
    started_at: at(6000),
    duration_ms: 1500,
    message: 'no such item',
  })
  const page = render({ run: aRun({ status: 'failed' }), steps: [outer, inner] })
  assert.match(textOf(page), /What went wrong Step 2 of 2 Open settings failed after 1\.5 s\. no such item/)
})

test('a run that broke off without a step says what its code means, and what its log said last', () => {
  const lost = render({
    run: aRun({ status: 'error', error_code: 'host_lost', error_message: 'No beat for 31 s.', failure_class: 'infrastructure' }),
  })
  assert.match(textOf(lost), /What went wrong No beat for 31 s\. The host stopped reporting while the run was open/)
  const crashed = render({
    run: aRun({ status: 'failed', error_message: 'exit code 1' }),
    logTail: ['start', 'AssertionError: no menu'],
    logLines: 2,
  })
  assert.match(textOf(crashed), /The log ended with: start AssertionError: no menu/)
})

test('the facts of the run are there: script, parameters, device, model, who, attempt, times and durations', () => {
  const retryOf = randomUUID()
  const text = render({ run: aRun({ attempt: 2, retry_of: retryOf }) })
  assert.ok(text.includes(`href="/server/runs/${retryOf}/report"`))
  for (const fact of [
    '--channels 10',
    'demo-host:device1',
    '· stb',
    'ann@example.org',
    '2026-11-14',
    '14:03:11',
    '14:03:39',
    '24 s',
    'waited for the device',
  ]) {
    assert.ok(text.replace('<span class="aside">', '· ').includes(fact), fact)
  }
})

test('steps show outcome, message, measures and a picture that opens large without a script', () => {
  const shot = aScreenshot()
  const measures = [{ name: 'channel change', value: 812, unit: 'ms' }, { name: 'bad', value: 'many' }, 7]
  const steps = [
    aStep(1, { details: { measures }, screenshot_artifact_id: shot.id, message: 'banner found' }),
    aStep(2, { details: { measures } }),
  ]
  const page = render({ steps, artifacts: [shot], pictures: new Map([[shot.id, onePixel]]) })
  assert.match(textOf(page), /Measurements channel change 812 ms median of 2 values/)
  assert.match(textOf(page), /Zap to 1 passed banner found channel change 812 ms/)
  assert.match(page, /<details class="zoom thumb"[^>]*><summary[^>]*><img src="data:image\/png;base64,/)
  assert.equal(page.split(onePixel).length - 1, 1, 'the picture is in the page once')
})

test('the log tail keeps the numbers of its lines and marks the lines that report an error', () => {
  const logTail = [
    'starting',
    '\u001B[31mError: no picture\u001B[0m',
    '[warn] slow',
    'SCRIPT_SUCCESS:false',
    'no errors found',
    'Failed over to server 2: fine',
  ]
  const page = render({ logTail, logLines: 1006, artifacts: [aScreenshot({ kind: 'log', name: 'run.log', id: runId })] })
  assert.match(page, /last 6 lines of 1,006/)
  assert.match(page, /<li data-n="1001"><code>starting/)
  assert.match(page, /<li data-n="1002" class="bad"><code>Error: no picture</)
  assert.match(page, /<li data-n="1003" class="warn">/)
  assert.match(page, /<li data-n="1004" class="bad">/)
  assert.match(page, /<li data-n="1005"><code>no errors found/)
  assert.ok(page.includes(`href="/server/runs/${runId}/artifacts/${runId}">whole log`))
  const stored = `/server/runs/${runId}/artifacts/${randomUUID()}`
  assert.ok(render({ run: aRun({ logs_url: stored }), logTail, logLines: 6 }).includes(`href="${stored}">whole log`))
})

test('the page needs nothing but itself: no script, no request, and links only to this server', () => {
  const shot = aScreenshot()
  const page = render({
    run: aRun({
      status: 'failed',
      report_url: 'https://elsewhere.example/r.html',
      logs_url: 'javascript:alert(1)',
      retry_of: runId,
    }),
    steps: [aStep(1, { outcome: 'failed', screenshot_artifact_id: shot.id })],
    artifacts: [shot, aScreenshot({ kind: 'file', name: 'times.csv' })],
    pictures: new Map([[shot.id, onePixel]]),
    logTail: ['https://example.org/'],
    logLines: 1,
  })
  assert.doesNotMatch(page, /<(?:script|iframe|object|embed|base|form|link (?!rel="icon" href="data:))/i)
  assert.doesNotMatch(page, /@import|url\(/i)
  const targets = [...page.matchAll(/\b(?:src|href|srcset|action|poster)="([^"]*)"/g)].map((match) => match[1] ?? '')
  for (const target of targets)
    assert.match(target, /^(?:data:image\/|#step-\d+$|\/server\/runs\/[0-9a-f-]{36}\/(?:report|artifacts\/[0-9a-f-]{36})$)/)
  assert.ok(targets.includes(`/server/runs/${runId}/artifacts/${shot.id}`))
})

test('whatever strings hosts, scripts and people send, they stay text', () => {
  const evil = `</style></title><script>alert(1)</script><img src=x onerror=alert(1)>"' onload='x' &lt;\u202E\u0000\uD800`
  const harmless = (page: string): void => {
    const own = page.replace(/<style>[\s\S]*?<\/style>/, '')
    assert.doesNotMatch(own, /<(?:\/style|script|img src=x)/i)
    for (const tag of own.match(/<[^>]*>/g) ?? []) assert.doesNotMatch(tag.replace(/"[^"]*"/g, ''), /\son\w+\s*=/i, tag)
    assert.doesNotMatch(own, /[\u202E\0]/)
    assert.ok(page.isWellFormed())
  }
  const details = {
    [evil]: evil,
    nested: { html: evil, toString: 1 },
    measures: [
      { name: evil, value: 1, unit: evil },
      { name: evil, value: 2, unit: evil },
    ],
  }
  const hostile: Partial<Run> = {
    name: evil,
    parameters: evil,
    host_name: evil,
    device_id: evil,
    device_name: evil,
    device_model: evil,
    error_code: evil,
    error_message: evil,
    requested_by: evil,
  }
  const shot = aScreenshot({ name: evil, content_type: evil, size_bytes: null })
  for (const status of ['passed', 'failed', 'error', 'cancelled'] as const) {
    const steps = [aStep(1, { name: evil, message: evil, details, outcome: 'failed', screenshot_artifact_id: shot.id })]
    for (const picture of [onePixel, `data:text/html;base64,${evil}`, `${onePixel}" onerror="alert(1)`]) {
      const pictures = new Map([[shot.id, picture]])
      const page = render({
        run: aRun({ status, ...hostile }),
        steps,
        artifacts: [shot],
        pictures,
        logTail: [evil, evil.repeat(200)],
        logLines: 2,
      })
      harmless(page)
      if (picture !== onePixel) assert.doesNotMatch(page, /<img/, 'only plain pictures are embedded')
    }
  }
})

test('a run with very many steps and lines makes a page of bounded size', () => {
  const steps = Array.from({ length: 20_000 }, (_, index) => aStep(index + 1, { message: 'm'.repeat(50) }))
  const page = render({ steps, logTail: Array.from({ length: 300 }, () => 'x'.repeat(8000)), logLines: 900_000 })
  assert.match(page, /18,000 more steps of this run are not shown here/)
  assert.ok(page.length < 3_000_000, String(page.length))
})

test('times that are no times and numbers that are no numbers do not break the page', () => {
  const steps = [
    aStep(1, { started_at: 'yesterday', duration_ms: Number.NaN }),
    aStep(2, { started_at: '', duration_ms: null, outcome: null }),
  ]
  const page = render({
    run: aRun({ status: 'error', queued_at: 'never', started_at: null, finished_at: null, duration_ms: null }),
    steps,
  })
  assert.match(textOf(page), /never started/)
  assert.doesNotMatch(page, /NaN|undefined|Infinity|Invalid/)
})
