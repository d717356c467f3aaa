import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { AttemptLog, defaultLogLimits } from './attempt-log.ts'

async function tempFile(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-log-'))
  t.after(() => rm(folder, { recursive: true }))
  return path.join(folder, 'log.txt')
}

async function readAll(log: AttemptLog, from = 0): Promise<string[]> {
  const lines: string[] = []
  for (;;) {
    const batch = await log.read(from + lines.length)
    if (batch.length === 0) return lines
    assert.ok(batch.length <= 500)
    assert.ok(Buffer.byteLength(JSON.stringify(batch)) <= 256 * 1024 + 2 || batch.length === 1)
    lines.push(...batch)
  }
}

test('N11: what was appended is read back from any line, in order, in calls of bounded size', async (t) => {
  const log = await AttemptLog.open(await tempFile(t))
  const lines = Array.from({ length: 5000 }, (_, index) => `${index} ${'\u0001'.repeat(index % 700)}ü`)
  for (let at = 0; at < lines.length; at += 7) await log.append(lines.slice(at, at + 7))
  assert.equal(log.count, lines.length)
  assert.deepEqual(await readAll(log), lines)
  for (const from of [4999, 1, 2500, 499, 500]) assert.deepEqual(await readAll(log, from), lines.slice(from))
  assert.deepEqual(await log.read(5000), [])
  await log.close()
})

test('N1: a log is continued after its writer was killed in mid-line', async (t) => {
  const file = await tempFile(t)
  const first = await AttemptLog.open(file)
  await first.append(['one', 'two'])
  await first.close()
  await appendFile(file, 'thr')
  const second = await AttemptLog.open(file)
  assert.equal(second.count, 3)
  await second.append(['four'])
  assert.deepEqual(await readAll(second), ['one', 'two', 'thr', 'four'])
  assert.equal(await second.tail(9), 'four\n')
  assert.equal(await second.tail(1000), 'one\ntwo\nthr\nfour\n')
  await second.close()
})

test('T23: a log stays below its limits and says where it was cut', async (t) => {
  for (const limits of [
    { ...defaultLogLimits, lines: 10 },
    { ...defaultLogLimits, bytes: 100 },
  ]) {
    const file = await tempFile(t)
    const log = await AttemptLog.open(file, limits)
    for (let index = 0; index < 50; index++) await log.append([`line ${index}`])
    const lines = await readAll(log)
    assert.equal(lines.length, log.count)
    assert.match(lines.at(-1) ?? '', /^\[log cut: /)
    assert.ok(lines.length <= 15)
    await log.close()
    const again = await AttemptLog.open(file, limits)
    await again.append(['more'])
    assert.equal(again.count, lines.length, 'also after a restart')
    await again.close()
  }
})
