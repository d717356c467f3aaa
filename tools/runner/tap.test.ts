import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addTotals, formatTotals, readTap } from './tap.ts'

const end = (counts: Record<string, number>) =>
  Object.entries({ tests: 0, suites: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0, ...counts, duration_ms: 17.5 })
    .map(([name, count]) => `# ${name} ${count}`)
    .join('\n')

test('runner: totals come from the end of the report, names and reasons from its lines', () => {
  const tap = `TAP version 13
# Subtest: passes \\# hash \\\\ back
ok 1 - passes \\# hash \\\\ back
  ---
  duration_ms: 0.5
  ...
ok 2 - opens a page # SKIP no Chromium on this machine
ok 3 - later # TODO
    # Subtest: kid
    not ok 1 - kid
      ---
      location: '/a.test.ts:1:2'
      error: |-
        boom, it's
          - 2
        
      code: 'X'
      stack: |-
        node:internal/x:1:1
        run (file:///a.test.ts:3:4)
      ...
    1..1
not ok 4 - parent
  ---
  failureType: 'subtestsFailed'
  error: '1 subtest failed'
  ...
1..4
${end({ tests: 5, pass: 1, fail: 2, skipped: 1, todo: 1 })}
`
  const report = readTap(tap)
  assert.deepEqual(
    { passed: report.passed, failed: report.failed, skipped: report.skipped },
    { passed: 1, failed: 2, skipped: 2 },
  )
  assert.deepEqual(report.skips, [
    { name: 'opens a page', reason: 'no Chromium on this machine' },
    { name: 'later', reason: 'todo' },
  ])
  assert.deepEqual(report.failures, [{ name: 'kid', details: ["boom, it's", '  - 2', 'at run (file:///a.test.ts:3:4)'] }])
  assert.equal(report.isComplete, true)
})

test('runner: a line that a test printed is not taken for the totals', () => {
  const tap = `# pass 99\nok 1 - a\n1..1\n${end({ pass: 1 })}\n`
  assert.equal(readTap(tap).passed, 1)
})

test('runner: cancelled tests are failures', () => {
  assert.equal(readTap(`not ok 1 - a\n${end({ fail: 1, cancelled: 2 })}`).failed, 3)
})

test('runner: a report without an end counts what it has and is not complete', () => {
  const report = readTap('TAP version 13\nok 1 - a\nnot ok 2 - b\n')
  assert.deepEqual([report.passed, report.failed, report.isComplete], [1, 1, false])
})

test('runner: the closing line', () => {
  const all = addTotals([
    { passed: 1, failed: 0, skipped: 2 },
    { passed: 3, failed: 1, skipped: 0 },
  ])
  assert.equal(formatTotals(all), '4 passed, 1 failed, 2 skipped')
})
