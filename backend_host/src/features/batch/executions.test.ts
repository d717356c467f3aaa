import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { LabError } from '@virtualpytest/shared'
import { createExecutions, type Work } from './executions.ts'

test('S: a device has a limit of waiting batches, which who only looks cannot use up for its holder', async () => {
  const executions = createExecutions()
  const about = { kind: 'verification', deviceId: 'device1', token: null } as const
  const untilCancelled: Work = (_tell, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))))
  const begin = (isBeside: boolean) => executions.start({ ...about, isBeside }, untilCancelled)
  const waiting = Array.from({ length: 50 }, () => begin(true))
  assert.throws(
    () => begin(true),
    (error) => error instanceof LabError && error.code === 'host_busy',
  )
  begin(false)
  const repeated = executions.start({ ...about, isBeside: true, id: waiting[49]?.id ?? '' }, untilCancelled)
  assert.equal(repeated, waiting[49], 'one that is known is not new')
  for (const { id } of waiting) executions.cancel(id)
  await setImmediate()
  assert.doesNotThrow(() => begin(true), 'those that are over count no more')
  await executions.close()
})
