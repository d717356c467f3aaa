import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeFailures } from './closing.ts'
import type { TestFileResult } from './run-test-file.ts'

const result = (more: Partial<TestFileResult>): TestFileResult => ({
  file: 'a.test.ts',
  passed: 1,
  failed: 0,
  skipped: 0,
  skips: [],
  failures: [],
  isComplete: true,
  output: 'long',
  logTail: ['{"msg":"one"}'],
  durationMs: 1,
  ...more,
})

test('runner: the end names each failed test with its error, and shows the log of its file once', () => {
  const long = Array.from({ length: 100 }, (_, index) => `line ${index}`)
  const failures = [
    { name: 'first', details: long },
    { name: 'second', details: ['boom', 'at x:1'] },
  ]
  const lines = describeFailures([result({}), result({ file: 'b.test.ts', failed: 2, failures })])
  assert.equal(lines[0], '  b.test.ts: first')
  assert.deepEqual(lines.slice(22, 26), ['      line 21', '      line 22', '      ...', '      line 99'])
  assert.deepEqual(lines.slice(26), [
    '  b.test.ts: second',
    '      boom',
    '      at x:1',
    '      last lines of the log:',
    '      {"msg":"one"}',
  ])
  assert.deepEqual(describeFailures([result({})]), [])
})
