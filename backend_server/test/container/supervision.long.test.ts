import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { chanceOf, figure, sizeOf } from '../reliability/form.ts'
import { until } from '../until.ts'
import { type Container, cannotStartContainers, startContainer, untilHealthy } from './container.ts'
import { untilRunning, watchedPrograms, withStandIn } from './watched-programs.ts'

const skip = cannotStartContainers()

interface Topology {
  name: string
  port: number
  env: Record<string, string>
  programs: string[]
}
const topologies: Topology[] = [
  { name: 'direct', port: 10_000, env: {}, programs: ['api', 'grafana', 'postgres'] },
  { name: 'nginx', port: 80, env: { TOPOLOGY: 'nginx' }, programs: ['api', 'grafana', 'nginx', 'postgres'] },
]

for (const { name, port, env, programs } of topologies) {
  describe(`${name} topology`, { skip }, () => {
    test('S3, S4, S7, S13, S29, S36, S47, S55-S60, S88, S95, L1, P3: what runs, as whom, where it listens and logs', async (t) => {
      const container = await startContainer(t, { env: { ...env, ...withStandIn } })
      await untilHealthy(container, port)
      await untilRunning(container, programs)
      assert.deepEqual(Object.keys(container.states()).sort(), programs)

      const users = { api: 10_000, grafana: 472, postgres: 10_002 }
      for (const [program, user] of Object.entries(users)) {
        const { pid } = container.states()[program] ?? { pid: 0 }
        assert.equal(container.processes().find((one) => one.pid === pid)?.user, user, program)
      }
      const names = container.processes().map((one) => one.name)
      assert.equal(names.includes('nginx'), name === 'nginx')
      const secret = container.exec('cat', '/run/virtualpytest/api.env').stdout.split(/[:@]/)[2] ?? ''
      assert.ok(secret.length > 20)
      for (const one of container.processes()) assert.ok(!one.args.includes(secret), 'a password in the arguments of a process')

      // Local addresses in /proc/net/tcp are hexadecimal; state 0A listens.
      const listening = container
        .exec('cat', '/proc/net/tcp', '/proc/net/tcp6')
        .stdout.matchAll(/: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A /g)
      const open = [...listening]
        .filter(([, address]) => address !== '0100007F')
        .map(([, , one]) => Number.parseInt(one ?? '', 16))
      assert.deepEqual(open, [port], 'sockets that are open to the outside')

      for (const program of [...programs.filter((one) => one !== 'nginx'), 'supervisord']) {
        await until(`${program} is in the output`, () => container.lines(program).length > 0)
        assert.notEqual(container.exec('cat', `/var/log/supervisor/${program}.log`).stdout, '', program)
      }
      const ready = /database system is ready to accept connections/
      assert.match(container.exec('cat', '/var/log/supervisor/postgres.log').stdout, ready)
      await until('its own log is in the output', () => container.lines('postgres').some(({ msg }) => ready.test(String(msg))))
      assert.ok(!container.output().includes(secret), 'a password in the output')

      assert.equal(container.exec('/app/backend_server/docker/healthcheck').status, 0)
      assert.equal(container.http('http://127.0.0.1:3000/grafana/api/health').status, 200)
      if (name === 'nginx') assert.equal(container.http('http://127.0.0.1:5110/health').status, 200)
      assert.equal(container.exec('stat', '-c', '%a %F', '/run/virtualpytest/supervisor.sock').stdout.trim(), '700 socket')

      const files = ['supervisord.conf', 'container.json', ...(name === 'nginx' ? ['nginx.conf'] : [])]
      const generated = (): string => container.exec('sha256sum', ...files.map((file) => `/run/virtualpytest/${file}`)).stdout
      const before = generated()
      assert.equal(
        container.exec(
          'env',
          'NODE_ENV=production',
          'DATA_DIR=/app/data',
          ...pairs({ ...env, ...withStandIn }),
          'sh',
          '-c',
          'cd /app/backend_server && node dist/bundle/prepare.cjs',
        ).status,
        0,
      )
      assert.equal(generated(), before, 'E4: preparing again changes nothing')

      const { status, ms } = await container.stop()
      assert.deepEqual([status, ms < 25_000], [0, true], `${ms} ms`)
      const stops = container
        .lines('supervisord')
        .map(({ msg }) => /stopped: (\w+)/.exec(String(msg))?.[1])
        .filter(Boolean)
      const order = ['nginx', 'api', 'grafana', 'postgres'].filter((program) => programs.includes(program))
      assert.deepEqual(stops, order, 'S49: order of the stop')
    })

    test('T8, V7, S41, S46: each program is killed once and is back within 5 s', async (t) => {
      const begun = performance.now()
      const container = await startContainer(t, { env: { ...env, ...withStandIn } })
      await untilHealthy(container, port)
      const limitMs = limitOf(performance.now() - begun)
      await untilRunning(container, programs)
      for (const program of programs) {
        const { pid } = container.states()[program] ?? { pid: 0 }
        assert.ok(pid > 0, program)
        assert.equal(container.exec('kill', '-KILL', String(pid)).status, 0)
        const from = performance.now()
        const restartedMs = await until(`${program} has a new process`, () => restartOf(container, program, pid), limitMs)
        await until(`${program} serves again`, () => isServing(container, program, port), limitMs)
        const ms = performance.now() - from
        figure(
          t,
          'T8',
          `${name}: ${program} killed, new process after ${Math.round(restartedMs)} ms, serves after ${Math.round(ms)} ms`,
        )
        assert.ok(restartedMs < 5000 && ms < limitMs, `${program} was away for ${Math.round(ms)} ms of ${Math.round(limitMs)}`)
        await until('it is counted', () => restartsOf(container)[program] === 1)
      }
      await untilRunning(container, programs)
      assert.equal((await container.stop()).status, 0)
    })
  })
}

/** Milliseconds from the end of this process to the start of the next, by the supervisor's own log: asking it takes seconds on a busy machine. */
function restartOf(container: Container, program: string, pid: number): number | undefined {
  const log = container.exec('cat', '/var/log/supervisor/supervisord.log').stdout
  const [, since = ''] = log.split(`spawned: '${program}' with pid ${pid}\n`)
  const timeOf = (what: string): number =>
    Date.parse(new RegExp(`^(\\S+ \\S+) \\w+ ${what}`, 'm').exec(since)?.[1]?.replace(',', '.') ?? '')
  const ms = timeOf(`spawned: '${program}'`) - timeOf(`exited: ${program} `)
  return Number.isNaN(ms) ? undefined : Math.max(ms, 1)
}

/** 5 s to serve again; on a machine so busy that the first start took longer, as long as that. */
const limitOf = (firstStartMs: number): number => Math.max(5000, firstStartMs)

const kills = sizeOf('TEST_ROUNDS', 4)

test(`T8: ${kills} random kills, none of which the container does not survive`, {
  skip,
  timeout: 60_000 + kills * 30_000,
}, async (t) => {
  const { port, env, programs } = topologies[1] ?? assert.fail()
  const chance = chanceOf(t, 'T8')
  const begun = performance.now()
  const container = await startContainer(t, { env: { ...env, ...withStandIn } })
  await untilHealthy(container, port)
  const limitMs = limitOf(performance.now() - begun)
  await untilRunning(container, programs)
  const killed: { program: string; at: number; ms: number }[] = []
  // A fifth crash within a minute ends the container, as it shall.
  const mayDie = (program: string): boolean =>
    killed.filter((one) => one.program === program && performance.now() - one.at < 70_000).length < 3
  while (killed.length < kills) {
    const program = chance.pick(programs.filter(mayDie))
    if (program === undefined) await new Promise((resolve) => setTimeout(resolve, 1000))
    else {
      const pid = await until(`${program} runs`, () => container.states()[program]?.pid || undefined)
      container.exec('kill', '-KILL', String(pid))
      const at = performance.now()
      await until(`${program} has a new process`, () => restartOf(container, program, pid), limitMs)
      await until(`${program} serves again`, () => isServing(container, program, port), limitMs)
      killed.push({ program, at, ms: performance.now() - at })
    }
  }
  const slowest = Math.max(...killed.map(({ ms }) => ms))
  figure(t, 'T8', `${kills} random kills, all back, the slowest after ${Math.round(slowest)} ms`)
  assert.ok(slowest < limitMs, `${Math.round(slowest)} ms of ${Math.round(limitMs)}`)
  await untilRunning(container, programs)
  assert.equal((await container.stop()).status, 0)
})

const pairs = (env: Record<string, string>): string[] => Object.entries(env).map(([name, value]) => `${name}=${value}`)

function isServing(container: Container, program: string, port: number): boolean {
  if (program === 'grafana') return container.http('http://127.0.0.1:3000/grafana/api/health').status === 200
  return container.http(`http://127.0.0.1:${port}/readyz`).status === 200
}

const restartsOf = (container: Container): Record<string, number> =>
  Object.fromEntries(watchedPrograms(container).map(({ name, restarts }) => [name, restarts]))
