import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { figure, sizeOf } from '../reliability/form.ts'
import { until } from '../until.ts'
import { type Container, cannotStartContainers, startContainer, untilHealthy } from './container.ts'

const skip = cannotStartContainers()
const graceMs = 25_000

/** Command lines of the children that a process has now. */
function childrenOf(pid: number): string[] {
  const read = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8').trim() : '')
  try {
    return read(`/proc/${pid}/task/${pid}/children`)
      .split(' ')
      .map((child) => read(`/proc/${child}/cmdline`))
  } catch {
    return [] // one of them has ended between two looks
  }
}

const orphans = sizeOf('TEST_ROUNDS', 1000)

test(`T9, H1: ${orphans} orphans leave no zombie`, { skip }, async (t) => {
  const container = await startContainer(t)
  await untilHealthy(container)
  for (let made = 0; made < orphans; made += 1000)
    assert.equal(container.exec('/opt/test-programs/orphans', String(Math.min(1000, orphans - made))).status, 0)
  await until('they have ended', () => container.processes().every(({ name }) => name !== 'orphans'))
  const zombies = container.processes().filter(({ state }) => state.startsWith('Z'))
  assert.deepEqual(zombies, [])
  figure(t, 'T9', `${orphans} orphans, ${zombies.length} zombies`)
  assert.equal((await container.stop()).status, 0)
})

for (const [topology, port] of [
  ['direct', 10_000],
  ['nginx', 80],
] as const) {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const) {
    test(`T10, H1, S49: ${signal} to process 1 stops the container with status 0 (${topology})`, { skip }, async (t) => {
      const container = await startContainer(t, { env: { TOPOLOGY: topology } })
      await untilHealthy(container, port)
      const { status, ms } = await container.stop(signal)
      figure(t, 'T10', `${signal}, ${topology}: ended with ${status} after ${Math.round(ms)} ms`)
      assert.deepEqual([status, ms < graceMs], [0, true], `${ms} ms`)
    })
  }
}

// Whoever looks at its mask of blocked signals sees none while it waits for them; a child shows that it is past blocking them.
const moments: Record<string, (container: Container) => boolean> = {
  'the preparation': ({ pid }) => childrenOf(pid).some((line) => line.includes('prepare.cjs')),
  'the supervisor': ({ output }) => output().includes('starting: '),
}
for (const [moment, hasBegun] of Object.entries(moments)) {
  test(`T10: a signal during the start, when ${moment} has just begun, stops it with status 0`, { skip }, async (t) => {
    const container = await startContainer(t)
    // On a slow machine the preparation may be over before anybody looks: then it is the next moment, which must do as well.
    await until(`process 1 has begun ${moment}`, () => hasBegun(container) || moments['the supervisor']?.(container))
    const { status, ms } = await container.stop()
    assert.deepEqual([status, ms < graceMs], [0, true], `${ms} ms\n${container.output()}`)
  })
}

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
