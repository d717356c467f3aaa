import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../start-lab.ts'
import { cannotStartContainers, startContainer, untilHealthy } from './container.ts'

const skip = cannotStartContainers()
const graceMs = 25_000

test('T9, H1: a thousand orphans leave no zombie', { skip }, async (t) => {
  const container = await startContainer(t)
  await untilHealthy(container)
  // Each subshell ends before its child, which then belongs to process 1.
  container.exec('sh', '-c', 'i=0; while [ $i -lt 1000 ]; do (sleep 0.05 &) ; i=$((i+1)); done')
  await until('they have ended', () => container.processes().every(({ name }) => name !== 'sleep'))
  await until('none is left', () => container.processes().every(({ state }) => !state.startsWith('Z')), 3000)
  assert.equal((await container.stop()).status, 0)
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const) {
  test(`T10, H1: ${signal} to process 1 stops the container with status 0`, { skip }, async (t) => {
    const container = await startContainer(t, { env: signal === 'SIGTERM' ? { TOPOLOGY: 'nginx' } : {} })
    await untilHealthy(container, signal === 'SIGTERM' ? 80 : 10_000)
    const { status, ms } = await container.stop(signal)
    t.diagnostic(`${Math.round(ms)} ms`)
    assert.deepEqual([status, ms < graceMs], [0, true], `${ms} ms`)
  })
}

test('T10: a signal during the start stops it with status 0', { skip }, async (t) => {
  const container = await startContainer(t)
  await until('process 1 is the entrypoint', () =>
    container.processes().some(({ pid, args }) => pid === 1 && args.includes('entrypoint')),
  )
  const { status, ms } = await container.stop()
  assert.deepEqual([status, ms < graceMs], [0, true], `${ms} ms`)
})

test('S72, S74, L5, E1, E5: a wrong environment ends the start at once with status 1, all names and no value', {
  skip,
}, async (t) => {
  const marker = 'hunter2'
  const env = { SERVER_PORT: marker, TOPOLOGY: marker, DATABASE_URL: `postgres//u:${marker}@h/d`, RENDER: 'true', DEBUG: 'yes' }
  const container = await startContainer(t, { env })
  assert.equal(await container.ended, 1)
  for (const name of ['SERVER_PORT', 'TOPOLOGY', 'DATABASE_URL', 'DEBUG'])
    assert.match(container.output(), new RegExp(`${name} must be`))
  assert.doesNotMatch(container.output(), new RegExp(marker))
})
