import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { figure } from '../reliability/form.ts'
import { cannotStartContainers, startContainer, untilHealthy } from './container.ts'
import { memoryOf, showMemory } from './resident-memory.ts'
import { untilRunning } from './watched-programs.ts'

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
    await untilRunning(container, topology === 'nginx' ? ['api', 'nginx', 'postgres'] : ['api', 'postgres'])
    await pause(10_000)
    const memory = memoryOf(container)
    figure(t, 'S93', `${topology}: ${showMemory(memory)}`)
    const { api, ...others } = memory.programs
    for (const name of ['postgres', 'supervisord', 'entrypoint']) assert.ok(others[name], `${name} is counted`)
    assert.ok(api && api.rssMb <= 100, `the API takes ${api?.rssMb} MB`)
    assert.ok(memory.onceMb <= 200, `${memory.onceMb} MB`)
  })
}
