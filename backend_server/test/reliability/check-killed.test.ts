// Promise: a health check whose server is killed ends, and the device is free again, by any server that works on.
// Kills: the server, with SIGKILL, while its host has been asked and does not answer.
// Judge: the holder of the device, and who gets it afterwards.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Run } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { FakeHost } from '../fakes/fake-host.ts'
import { startLab } from '../start-lab.ts'
import { createTestDatabase } from '../test-db.ts'
import { until } from '../until.ts'
import { openServerSlot } from './server-process.ts'

test('T1: a server that is killed in the middle of a health check leaves neither a lease nor an open run', async (t) => {
  const { url: databaseUrl, db } = await createTestDatabase(t)
  const slot = await openServerSlot(t, { databaseUrl: () => databaseUrl, env: { LOG_LEVEL: 'warn' } })
  slot.start()
  await slot.waitUntilReady()
  let serverUrl = slot.url
  const host = new FakeHost({ name: 'lab-1', serverUrl: () => serverUrl, beatMs: 1000 })
  t.after(() => host.kill())
  await host.start()
  const { promise: answer, resolve } = Promise.withResolvers<undefined>()
  t.after(() => resolve(undefined))
  host.calls.override = ({ path }) => (path === '/host/av/takeScreenshot' ? answer : undefined)

  const path = '/server/devices/lab-1/device1/check'
  const begun = await fetch(`${slot.url}${path}`, { method: 'POST' })
  const { run_id: id } = (await begun.json()) as { run_id: string }
  await until('the host is asked', () => host.calls.seen.some((call) => call.path === '/host/av/takeScreenshot'))
  const { child, ended } = slot.current()
  child.kill('SIGKILL')
  await ended

  const lab = await startLab(t, { databaseUrl, hosts: 0 })
  serverUrl = lab.url
  const read = async () => (await lab.get<{ run: Run }>(`/server/runs/${id}`)).body.run
  assert.equal((await read()).status, 'running', 'the killed server ended nothing')
  assert.equal((await lab.post('/server/control/takeControl', { host_name: 'lab-1', device_id: 'device1' })).status, 423)
  // As if its limit had gone by.
  await sql`update runs set deadline_at = now() - interval '1 minute' where id = ${id}`.execute(db.kysely)
  const run = await until('the check has ended', async () => {
    const found = await read()
    return found.status !== 'running' && found
  })
  assert.deepEqual([run.status, run.error_code, run.failure_class], ['error', 'deadline', 'infrastructure'])
  host.calls.override = undefined
  const again = await lab.post<{ run_id: string }>(path)
  assert.equal(again.status, 202, again.text)
  await until('the next check passes', async () => {
    const found = (await lab.get<{ run: Run }>(`/server/runs/${again.body.run_id}`)).body.run
    return found.status === 'passed'
  })
})
