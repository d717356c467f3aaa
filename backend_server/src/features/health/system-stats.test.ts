import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { until } from '../../../test/start-lab.ts'
import { startSystemStats } from './system-stats.ts'

test('figures of the machine come from a sampler; asking for them costs nothing and waits for nothing', async (t) => {
  const stats = startSystemStats({ serverName: 'my lab', dataDir: tmpdir(), everyMs: 20 })
  t.after(() => stats.stop())
  assert.deepEqual(stats.current(), {}, 'nothing is known at the first moment')
  const first = await until('the first sample', () => Object.keys(stats.current()).length > 0 && stats.current())
  for (const name of ['cpu_percent', 'memory_percent', 'disk_percent']) {
    const value = Number(first[name])
    assert.ok(value >= 0 && value <= 100, `${name} ${value}`)
  }
  assert.ok(Number(first.memory_total_gb) > 0 && Number(first.disk_total_gb) > 0)
  assert.match(String(first.timestamp), /Z$/)
  assert.equal(stats.current(), stats.current(), 'the same object until the next sample')
  await until('another sample', () => stats.current().timestamp !== first.timestamp)
})

test('a data folder that is not there yet costs only its own figures', async (t) => {
  const stats = startSystemStats({ serverName: 'my lab', dataDir: '/no/such/folder', everyMs: 20 })
  t.after(() => stats.stop())
  const sample = await until('a sample', () => Object.keys(stats.current()).length > 0 && stats.current())
  assert.deepEqual([sample.disk_percent, sample.disk_total_gb], [0, 0])
  assert.ok(Number(sample.memory_total_gb) > 0)
})
