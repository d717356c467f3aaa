import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { makeTree } from '../temporary-tree.ts'
import { runTestFile } from './run-test-file.ts'

const head =
  "import assert from 'node:assert/strict'\nimport { spawn } from 'node:child_process'\nimport { test } from 'node:test'\n"

function run(t: TestContext, text: string, timeoutMs = 20_000) {
  const root = makeTree(t, { 'a.test.mjs': head + text })
  const signal = new AbortController().signal
  const options = { root, file: 'a.test.mjs', scratch: root, timeoutMs, nodeArgs: [], env: process.env, isLive: false, signal }
  return runTestFile(options)
}

test('runner: passes, failures and skips of a file are counted', async (t) => {
  const result = await run(
    t,
    `test('good', () => {})
test('bad', () => assert.equal(1, 2))
test('not here', { skip: 'no Chromium' }, () => {})`,
  )
  assert.deepEqual([result.passed, result.failed, result.skipped], [1, 1, 1])
  assert.deepEqual(
    result.failures.map(({ name }) => name),
    ['bad'],
  )
  assert.match(result.failures[0]?.details.join('\n') ?? '', /1 !== 2[\s\S]*at .*a\.test\.mjs:5/)
  assert.deepEqual(result.skips, [{ name: 'not here', reason: 'no Chromium' }])
  assert.match(result.output, /1 !== 2/)
})

test('runner: a file that crashes before its tests counts as a failure', async (t) => {
  const result = await run(t, "await import('./gone.mjs')")
  assert.equal(result.failed, 1)
  assert.match(result.failures[0]?.name ?? '', /ended before its tests did \(exit status 1\)/)
  assert.match(result.output, /gone\.mjs/)
})

test('runner: a file that kills itself counts as a failure beside what had passed', async (t) => {
  const result = await run(
    t,
    "test('good', () => {})\ntest('last', async () => { process.kill(process.pid, 'SIGKILL'); await new Promise(() => {}) })",
  )
  assert.equal(result.failed, 1)
  assert.match(result.failures[0]?.name ?? '', /signal SIGKILL/)
})

test('runner: a file in which something stays open ends at its time limit', async (t) => {
  const result = await run(t, "test('good', () => {})\nsetInterval(() => {}, 1000)", 1500)
  assert.equal(result.failed, 1)
  assert.match(result.failures[0]?.name ?? '', /did not end within 2 s/)
})

test('runner: a process left behind is killed and counts as a failure, also in a session of its own', async (t) => {
  const left = "const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' })"
  const result = await run(t, `test('good', () => {})\n${left}\nchild.unref()\nconsole.log('child', child.pid)`)
  assert.equal(result.passed, 1)
  assert.equal(result.failed, 1)
  assert.match(result.failures[0]?.name ?? '', /left a process running/)
  const pid = /child (\d+)/.exec(result.output)?.[1] ?? ''
  // Gone, or dead and not yet collected by the first process of this machine: then it has no command line.
  const command = existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : ''
  assert.equal(command, '')
})
