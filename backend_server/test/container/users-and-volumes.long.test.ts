import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { cannotStartContainers, startContainer, untilHealthy } from './container.ts'
import { withStandIn } from './watched-programs.ts'

const skip = cannotStartContainers()

const unprivileged: { name: string; port: number; env: Record<string, string> }[] = [
  { name: 'direct', port: 10_000, env: {} },
  { name: 'nginx', port: 8080, env: { TOPOLOGY: 'nginx', NGINX_PORT: '8080' } },
]
for (const { name, port, env } of unprivileged) {
  test(`T10, S81, F3, F4, F7, F8: uid 10001 without capabilities on a read-only root (${name})`, { skip }, async (t) => {
    const container = await startContainer(t, { env: { ...env, ...withStandIn, GRAFANA: 'off' }, uid: 10_001, readOnly: '8m' })
    await untilHealthy(container, port)
    for (const one of container.processes()) assert.equal(one.user, 10_001, one.args)
    assert.match(container.exec('cat', '/proc/1/status').stdout, /^CapBnd:\s+0+$/m)
    assert.equal(container.exec('touch', '/app/x').status, 1)
    assert.equal(container.exec('/app/backend_server/docker/healthcheck').status, 0)
    // S92: the API runs from the code that was compiled with the image, whoever it runs as, and compiles where V8 refuses it.
    const command = `$(sed -n 's/^command=\\(node .*run-api.js\\)$/\\1/p' /run/virtualpytest/supervisord.conf) --say-code-cache`
    const start = (folder: string, words: string): string =>
      container.exec('sh', '-c', `cd ${folder} && SERVER_PORT=none ${words}`).stderr
    assert.match(start('/app/backend_server', command), /^code cache used: true\n[\s\S]*SERVER_PORT must be/)
    container.exec('sh', '-c', 'mkdir /tmp/copy && cd /app/backend_server && cp -r package.json dist /tmp/copy')
    container.exec('truncate', '-s', '1000000', '/tmp/copy/dist/bundle/api.cjs.cache')
    assert.match(start('/tmp/copy', command), /^code cache used: false\n[\s\S]*SERVER_PORT must be/)
    assert.equal((await container.stop()).status, 0)
  })
}

test('T10: a full disk for logs stops no program', { skip }, async (t) => {
  const container = await startContainer(t, { uid: 10_001, readOnly: '1m' })
  await untilHealthy(container)
  container.exec('sh', '-c', 'cat /dev/zero >/var/log/supervisor/filler')
  for (let call = 0; call < 20; call += 1) assert.equal(container.http('http://127.0.0.1:10000/server/nothing').status, 404)
  assert.equal(container.states().api?.state, 'RUNNING')
  assert.equal((await container.stop()).status, 0)
})

test('F1, E4, T10: the same volume twice, first as another user, keeps what it holds', { skip }, async (t) => {
  const volume = mkdtempSync(path.join(tmpdir(), 'vpt-volume-'))
  t.after(() => rmSync(volume, { recursive: true, force: true }))
  const env = { AUTH_MODE: 'open' }
  for (const round of [1, 2, 3]) {
    const container = await startContainer(t, { volume, env })
    await untilHealthy(container)
    const body = ['-H', 'Content-Type: application/json', '--data-binary', JSON.stringify({ name: `team ${round}` })]
    assert.equal(container.http('http://127.0.0.1:10000/server/teams', '-X', 'POST', ...body).status, 201)
    const teams = JSON.parse(container.http('http://127.0.0.1:10000/server/teams').text) as { name: string }[]
    assert.deepEqual(
      teams.slice(1).map(({ name }) => name),
      [1, 2, 3].slice(0, round).map((one) => `team ${one}`),
    )
    // As if the volume had been written by a container of another user.
    if (round === 1) container.exec('chown', '-R', '4711:4711', '/app/data')
    // Killed in the middle, as by a platform that lost its patience.
    const { status } = await container.stop(round === 2 ? 'SIGKILL' : 'SIGTERM')
    assert.equal(status === 0, round !== 2)
  }
})

test('T10: a second container on a volume in use ends with status 1, and the first does not notice', { skip }, async (t) => {
  const first = await startContainer(t)
  await untilHealthy(first)
  const before = first.states()
  const second = await startContainer(t, { volume: first.volume })
  assert.equal(await second.ended, 1)
  assert.match(second.output(), /Another server is using the data folder/)
  assert.match(second.output(), /the required program postgres (could not be started|ended 5 times within 60 s)/)
  assert.deepEqual(first.states(), before)
  assert.equal(first.http('http://127.0.0.1:10000/readyz').status, 200)
  assert.equal((await first.stop()).status, 0)
})
