import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { figure } from '../reliability/form.ts'
import { cannotStartContainers, startContainer, untilHealthy } from './container.ts'
import { memoryByProgram } from './memory.ts'

const skip = cannotStartContainers()

for (const [topology, port] of [
  ['direct', 10_000],
  ['nginx', 80],
] as const) {
  test(`S93, N9: idle with the embedded database, the API takes at most 100 MB and everything but Grafana 200 MB (${topology})`, {
    skip,
  }, async (t) => {
    const container = await startContainer(t, { env: { TOPOLOGY: topology, GRAFANA: 'off' } })
    await untilHealthy(container, port)
    await pause(10_000)
    const megabytes = memoryByProgram(container)
    const sum = Object.values(megabytes).reduce((total, { pss }) => total + pss, 0)
    const list = Object.entries(megabytes).map(([name, { pss, rss }]) => `${name} ${pss.toFixed(0)} (${rss.toFixed(0)})`)
    figure(t, 'S93', `${topology}: MB with shared pages counted once (resident): ${list.join(', ')}; sum ${sum.toFixed(0)}`)
    assert.ok((megabytes.api?.rss ?? Number.NaN) <= 100, JSON.stringify(megabytes))
    assert.ok(sum <= 200, JSON.stringify(megabytes))
  })
}
