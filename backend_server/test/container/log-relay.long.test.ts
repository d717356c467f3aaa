import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { figure, sizeOf } from '../reliability/form.ts'
import { until } from '../until.ts'
import { type Container, cannotStartContainers, startContainer, untilHealthy } from './container.ts'

const skip = cannotStartContainers()
const lines = sizeOf('TEST_LINES', 1500)
const env = { GRAFANA: 'embedded', GRAFANA_BIN: '/opt/test-programs/line-writer', GF_LINES: String(lines) }

function askHealth(container: Container): number {
  const from = performance.now()
  for (let call = 0; call < 20; call += 1) assert.equal(container.http('http://127.0.0.1:10000/health').status, 200)
  return performance.now() - from
}

const cap = 4 * 10 * 1024 * 1024 + 1024 * 1024

test('T20, L3, L4, S60: at 15 MB a second lines up to 64 kB reach the output whole, in order and once; the files stay small', {
  skip,
}, async (t) => {
  const container = await startContainer(t, { env })
  await untilHealthy(container)
  container.exec('touch', '/tmp/go')
  const from = performance.now()
  await until(
    'the last line is in the output',
    () => container.output().includes(`{"program":"grafana","at":${lines - 1},`),
    120_000,
  )
  t.diagnostic(
    `${Math.round(container.output().length / 1e6)} MB, seen ${Math.round(performance.now() - from)} ms after the first line was asked for`,
  )
  // Every line of the output is JSON: none was mixed with another program's.
  for (const line of container.output().split('\n').filter(Boolean)) JSON.parse(line)
  const got = container.lines('grafana')
  assert.equal(got.length, lines)
  for (const [index, { at, hash, text }] of got.entries()) {
    assert.equal(at, index)
    assert.equal(createHash('sha256').update(String(text)).digest('hex').slice(0, 8), hash, `line ${index}`)
  }
  const sizes = container.exec('sh', '-c', 'cat /var/log/supervisor/grafana.log* | wc -c').stdout
  assert.ok(Number(sizes) <= cap, sizes)
})

test('T20: a reader that does not read holds up no program', { skip }, async (t) => {
  const container = await startContainer(t, { env, isDeaf: true })
  await untilHealthy(container)
  const quick = askHealth(container)
  container.exec('touch', '/tmp/go')
  await until(
    'all is in the files',
    () =>
      container.exec('sh', '-c', `tail -n 1 /var/log/supervisor/grafana.log | cut -c1-20`).stdout.includes(`"at":${lines - 1},`),
    120_000,
  )
  const slow = askHealth(container)
  figure(t, 'T20', `20 health calls in ${Math.round(quick)} ms before, ${Math.round(slow)} ms while nobody reads the output`)
  // A program that waits for the reader would answer none of them.
  assert.ok(slow < quick * 5 + 5000, `${slow} ms`)
  const { status, ms } = await container.stop()
  assert.deepEqual([status, ms < 25_000], [0, true], `${ms} ms`)
})
