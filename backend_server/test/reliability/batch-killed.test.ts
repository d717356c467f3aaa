// Promise: a batch that a client was told of is answered after any restart, and its result is the host's.
// Kills: the server, with SIGKILL, while batches are being started, run and end; it comes back on the same port.
// Judge: the host, which counts what it was asked to begin, and every execution id that a client got.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { FakeHost } from '../fakes/fake-host.ts'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { chanceOf, figure, sizeOf } from './form.ts'
import { openServerSlot } from './server-process.ts'

test('T1: a server that is killed in the middle of batches loses neither one of them nor a result', async (t) => {
  const chance = chanceOf(t, 'T1')
  const rounds = sizeOf('TEST_ROUNDS', 5)
  const { url: databaseUrl, db } = await createTestDatabase(t)
  const slot = await openServerSlot(t, { databaseUrl: () => databaseUrl, env: { LOG_LEVEL: 'warn' } })
  slot.start()
  await slot.waitUntilReady()
  const host = new FakeHost({ name: 'lab-1', serverUrl: () => slot.url, beatMs: 1000, batchMs: 700 })
  t.after(() => host.kill())
  await host.start()

  const told: { id: string; good: boolean }[] = []
  async function startOne(): Promise<void> {
    const good = chance.between(0, 1) === 1
    const actions = [{ command: good ? 'press_key' : 'fail_key', params: { key: 'OK' } }]
    const response = await fetch(`${slot.url}/server/action/executeBatch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ host_name: 'lab-1', device_id: 'device1', actions }),
      signal: AbortSignal.timeout(60_000),
    }).catch(() => undefined)
    const answer = (await response?.json().catch(() => undefined)) as { execution_id?: string } | undefined
    if (response?.status === 200 && answer?.execution_id) told.push({ id: answer.execution_id, good })
  }

  for (let round = 0; round < rounds; round += 1) {
    const starts = Array.from({ length: 8 }, async () => {
      await pause(chance.between(0, 900))
      await startOne()
    })
    const before = told.length
    await until('one of them is told', () => told.length > before)
    await pause(chance.between(0, 700))
    const { child, ended } = slot.current()
    child.kill('SIGKILL')
    await ended
    await Promise.all(starts)
    slot.start()
    await slot.waitUntilReady()
  }
  await startOne()
  assert.ok(told.length > rounds, `${told.length} batches were acknowledged`)

  const wrong: string[] = []
  for (const { id, good } of told) {
    const outcome = await until(`batch ${id} has ended`, async () => {
      const response = await fetch(`${slot.url}/server/action/execution/${id}/status?host_name=lab-1`)
      const body = (await response.json()) as { status: string; outcome: string; result: { success: boolean } | null }
      assert.equal(response.status, 200, JSON.stringify(body))
      return body.status === 'running' ? undefined : `${body.outcome} ${body.result?.success}`
    })
    if (outcome !== (good ? 'passed true' : 'failed false')) wrong.push(`${id}: ${outcome}`)
  }
  assert.deepEqual(wrong, [])
  const begun = host.calls.seen.filter((call) => call.path === '/host/action/executeBatch')
  const ids = begun.map((call) => call.body.execution_id)
  assert.equal(new Set(ids).size, ids.length, 'the host was asked once for each')
  for (const { id } of told) assert.ok(ids.includes(id))
  figure(t, 'batches', `${told.length} acknowledged, ${begun.length} begun, over ${rounds} kills`)
  await db.ping()
})
