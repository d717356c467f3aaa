import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { figure } from '../reliability/form.ts'
import { until } from '../until.ts'
import { type Container, type ContainerOptions, cannotStartContainers, startContainer, untilHealthy } from './container.ts'
import { grafanaStandIn, untilRunning, watchedPrograms, withStandIn } from './watched-programs.ts'

const skip = cannotStartContainers()
/** On a machine that is busy with other things too; how long it really took is printed. */
const patienceMs = 45_000

/** A health answer of the API itself; behind nginx there is an answer without it too. */
const health = (container: Container, port: number): Record<string, unknown> => {
  const answer = container.http(`http://127.0.0.1:${port}/health`)
  return answer.status === 200 ? (JSON.parse(answer.text) as Record<string, unknown>) : {}
}

/** Takes a program's executable away and ends the program, so that every new start fails. */
async function breakProgram(container: Container, program: string, executable: string): Promise<void> {
  const { pid } = container.states()[program] ?? { pid: 0 }
  assert.equal(container.exec('mv', executable, `${executable}.away`).status, 0)
  assert.equal(container.exec('kill', '-KILL', String(pid)).status, 0)
}

async function running(t: TestContext, options: ContainerOptions, port: number, programs: string[]): Promise<Container> {
  const container = await startContainer(t, options)
  await untilHealthy(container, port)
  await untilRunning(container, programs)
  return container
}

test('S48, V1, V2, H5: a required program that cannot be started ends the container with status 1 (api)', { skip }, async (t) => {
  const container = await running(t, {}, 10_000, ['api', 'postgres'])
  await breakProgram(container, 'api', '/app/backend_server/dist/bundle/api.cjs')
  assert.equal(await container.ended, 1)
  assert.match(container.output(), /the container ends because the required program api could not be started/)
})

test('S48, V1, V2: a required program that cannot be started ends the container with status 1 (nginx)', { skip }, async (t) => {
  const container = await running(t, { env: { TOPOLOGY: 'nginx' } }, 80, ['api', 'nginx'])
  await breakProgram(container, 'nginx', '/usr/sbin/nginx')
  assert.equal(await container.ended, 1)
  assert.match(container.output(), /the required program nginx could not be started/)
})

test('T8, V5: a required program that crashes five times within a minute ends the container', { skip }, async (t) => {
  const container = await running(t, {}, 10_000, ['api', 'postgres'])
  container.exec('/opt/test-programs/crash-program', 'api', '5')
  assert.equal(await container.ended, 1)
  assert.match(container.output(), /the required program api (ended 5 times within 60 s|could not be started)/)
})

test('S41, S48, V1, V7: an optional program that cannot be started makes the server degraded and is tried again', {
  skip,
}, async (t) => {
  const container = await running(t, { env: withStandIn }, 10_000, ['api', 'grafana', 'postgres'])
  await until('health is ok', () => health(container, 10_000).status === 'ok', patienceMs)
  await breakProgram(container, 'grafana', grafanaStandIn)
  const degraded = await until(
    'health is degraded',
    () => {
      const body = health(container, 10_000)
      return body.status === 'degraded' && body
    },
    patienceMs,
  )
  assert.match(JSON.stringify(degraded.reasons), /the program grafana does not run/)
  await until(
    'it rests',
    () => watchedPrograms(container).find(({ name }) => name === 'grafana')?.state === 'BACKOFF',
    patienceMs,
  )
  assert.equal(container.http('http://127.0.0.1:10000/readyz').status, 200)
  container.exec('mv', `${grafanaStandIn}.away`, grafanaStandIn)
  await until('health is ok again', () => health(container, 10_000).status === 'ok', 2 * patienceMs)
  assert.equal((await container.stop()).status, 0)
})

test('T8, V5, V7: an optional program that crashes five times within a minute is seen, rests, and is started again', {
  skip,
}, async (t) => {
  const container = await running(t, { env: withStandIn }, 10_000, ['api', 'grafana', 'postgres'])
  const ofGrafana = () => watchedPrograms(container).find(({ name }) => name === 'grafana')
  const killed = container.exec('/opt/test-programs/crash-program', 'grafana', '5')
  const from = performance.now()
  assert.equal(killed.stdout.trim(), '5', `${killed.stdout}${killed.stderr}`)
  await until('it rests', () => ofGrafana()?.state === 'BACKOFF', patienceMs)
  await until('health is degraded', () => health(container, 10_000).status === 'degraded', patienceMs)
  figure(
    t,
    'T8',
    `optional program after five crashes: degraded ${Math.round(performance.now() - from)} ms later, promised are 5 s`,
  )
  assert.equal(container.states().api?.state, 'RUNNING')
  await until('it is started again and health is ok', () => health(container, 10_000).status === 'ok', 2 * patienceMs)
  assert.equal((await container.stop()).status, 0)
})

test('V3, V4, H2, S49: programs that ignore the request to stop are gone within 25 s', { skip }, async (t) => {
  const env = { GRAFANA: 'embedded', GRAFANA_BIN: '/opt/test-programs/stubborn' }
  const container = await running(t, { env }, 10_000, ['api', 'grafana', 'postgres'])
  const { pid } = container.states().api ?? { pid: 0 }
  // Stopped processes do not act on TERM.
  container.exec('kill', '-STOP', String(pid))
  const { ms, status } = await container.stop()
  t.diagnostic(`${Math.round(ms)} ms`)
  assert.ok(ms < 25_000, `${Math.round(ms)} ms`)
  assert.equal(status, 0)
})
