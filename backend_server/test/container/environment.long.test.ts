import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { type Container, cannotStartContainers, startContainer, untilHealthy } from './container.ts'
import { untilRunning, withStandIn } from './watched-programs.ts'

const skip = cannotStartContainers()
/** On a machine that is busy with other things too. */
const patienceMs = 60_000
const render = { RENDER: 'true', SERVER_PORT: '10000', PORT: '10000', DEBUG: 'false' }
const supabase = { NEXT_PUBLIC_SUPABASE_URL: 'https://abc.supabase.co', NEXT_PUBLIC_SUPABASE_ANON_KEY: 'anon' }
const awkward = `a "b' %c $d @e :f #g ,h /i ?j \\k %(ENV_X)s`
const url = `postgresql://virtualpytest:${encodeURIComponent(awkward)}@127.0.0.1:5433/${encodeURIComponent(awkward)}`
const asPostgres = ['setpriv', '--reuid', '10002', '--regid', '10002', '--clear-groups', '--']

/** A database that is not the container's own, inside its network: there is no other. Its password and its name are awkward. */
async function startForeignDatabase(container: Container): Promise<void> {
  const inApp = 'cd /app/backend_server && '
  container.exec('sh', '-c', 'mkdir -m 700 /tmp/foreign && chown 10002:10002 /tmp/foreign')
  container.exec(...asPostgres, 'sh', '-c', `${inApp}(node dist/bundle/postgres.cjs /tmp/foreign 5433 >/tmp/foreign/log 2>&1 &)`)
  await until('it runs', () => container.exec('grep', '-q', 'ready to accept', '/tmp/foreign/log').status === 0)
  const script = `
    const { superuserPassword } = JSON.parse(require('fs').readFileSync('/tmp/foreign/credentials.json', 'utf8'))
    const { Client } = require('pg')
    const client = new Client({ host: '127.0.0.1', port: 5433, user: 'postgres', database: 'postgres', password: superuserPassword })
    client.connect()
      .then(() => client.query('alter role virtualpytest password ' + client.escapeLiteral(process.argv[1])))
      .then(() => client.query('create database ' + client.escapeIdentifier(process.argv[1]) + ' owner virtualpytest'))
      .then(() => client.end())`
  const changed = container.exec('sh', '-c', `${inApp}exec "$0" "$@"`, 'node', '-e', script, awkward)
  assert.equal(changed.status, 0, changed.stderr)
}

test('S61-S65, S72, E1, E2, E3, D6, G5: the variables of Render and a database URL with an awkward password and name start it', {
  skip,
}, async (t) => {
  const container = await startContainer(t, { env: { ...render, ...supabase, DATABASE_URL: url, ...withStandIn } })
  const health = (): Record<string, unknown> => {
    const answer = container.http('http://127.0.0.1:10000/health')
    return answer.status === 200 ? (JSON.parse(answer.text) as Record<string, unknown>) : {}
  }
  await until('the port is open while the database is away', () => health().status === 'degraded')
  assert.equal(container.http('http://127.0.0.1:10000/readyz').status, 503)
  await startForeignDatabase(container)
  await untilHealthy(container)
  assert.deepEqual(Object.keys(container.states()).sort(), ['api', 'grafana'])
  await untilRunning(container, ['api', 'grafana'])

  const { pid } = container.states().api ?? { pid: 0 }
  const environment = container.exec('cat', `/proc/${pid}/environ`).stdout.split('\0')
  assert.ok(environment.includes(`DATABASE_URL=${url}`), 'S75, E2: the API gets the value as it is')
  const grafana = container.exec('cat', `/proc/${container.states().grafana?.pid}/environ`).stdout
  assert.doesNotMatch(grafana, /DATABASE_URL|abc\.supabase/, 'S96: Grafana gets no variable that is not its own')

  await assertDataSource(container)

  const command = ['env', ...Object.entries({ ...render, ...supabase, DATABASE_URL: url }).map((pair) => pair.join('='))]
  const vpt = (...args: string[]) =>
    container.exec(
      ...command,
      'NODE_ENV=production',
      'DATA_DIR=/app/data',
      'node',
      '/app/backend_server/dist/cli/vpt.js',
      ...args,
    )
  const check = vpt('config', 'check')
  assert.equal(check.status, 0, check.stdout + check.stderr)
  const doctor = vpt('doctor')
  assert.match(doctor.stdout, /database/i, doctor.stderr)
  for (const { stdout, stderr } of [check, doctor])
    assert.ok(!`${stdout}${stderr}`.includes(awkward) && !`${stdout}${stderr}`.includes(encodeURIComponent(awkward)))
  assert.ok(!container.output().includes(encodeURIComponent(awkward)), 'L5: no password in the output')
  assert.equal((await container.stop()).status, 0)
})

/** What Grafana makes of the text in a provisioning file. */
const expanded = (text: string): string =>
  text
    .split('$$')
    .map((part) => part.replace(/\$\{[^}]*\}|\$__\w+\{[^}]*\}|\$\w+/g, ''))
    .join('$')

/** Grafana's program is not here: its file is read in its place, and the database asked with what it would send. */
async function assertDataSource(container: Container): Promise<void> {
  const folder = '/run/virtualpytest/grafana/provisioning/datasources'
  const { stdout } = container.exec('sh', '-c', `cat ${folder}/*`)
  assert.ok(
    !stdout.includes(encodeURIComponent(awkward)) && !stdout.includes('virtualpytest:'),
    'no URL and no password of the API',
  )
  const { datasources } = JSON.parse(stdout.replace(/^#.*\n/, '')) as {
    datasources: { url: string; user: string; jsonData: { database: string }; secureJsonData: { password: string } }[]
  }
  assert.equal(datasources.length, 1)
  const [source] = datasources
  assert.equal(source?.url, '127.0.0.1:5433')
  const [user, password, database] = [source.user, source.secureJsonData.password, source.jsonData.database].map(expanded)
  assert.equal(database, awkward)
  const script = `
    const [user, password, database] = process.argv.slice(1)
    const client = new (require('pg').Client)({ host: '127.0.0.1', port: 5433, user, password, database })
    client.connect().then(() => client.query('select current_database() as name'))
      .then(({ rows }) => { process.stdout.write(rows[0].name); return client.end() })`
  const ask = () =>
    container.exec(
      'sh',
      '-c',
      'cd /app/backend_server && exec "$0" "$@"',
      'node',
      '-e',
      script,
      user ?? '',
      password ?? '',
      database,
    )
  // The API makes the user when it has found Grafana.
  const name = await until('the data source opens the database', () => ask().stdout || undefined, patienceMs)
  assert.equal(name, awkward)
}

const refusals: { name: string; env: Record<string, string>; says: RegExp[] }[] = [
  {
    name: 'Supabase variables without a database URL',
    env: supabase,
    says: [/DATABASE_URL/, /Session pooler/, /pooler\.supabase\.com:5432/, /EMBEDDED_DB/],
  },
  { name: 'RENDER=true without a durable database', env: render, says: [/DATABASE_URL/, /RENDER/, /EMBEDDED_DB/] },
]
for (const { name, env, says } of refusals) {
  test(`S72: ${name} ends the start with the advice`, { skip }, async (t) => {
    const container = await startContainer(t, { env })
    assert.equal(await container.ended, 1)
    for (const one of says) assert.match(container.output(), one)
  })
}

test('S72: EMBEDDED_DB says that the embedded database is wanted, beside Supabase and on Render', { skip }, async (t) => {
  for (const env of [
    { ...supabase, EMBEDDED_DB: 'durable' },
    { ...render, EMBEDDED_DB: 'ephemeral' },
  ]) {
    const container = await startContainer(t, { env })
    await untilHealthy(container)
    assert.equal(container.states().postgres?.state, 'RUNNING')
    assert.equal((await container.stop()).status, 0)
  }
})

test('P5, S73, S22: the entry port may be another in both topologies', { skip }, async (t) => {
  for (const env of [
    { TOPOLOGY: 'direct', PORT: '18000' },
    { TOPOLOGY: 'nginx', PORT: '18000' },
  ]) {
    const container = await startContainer(t, { env })
    await untilHealthy(container, 18_000)
    assert.equal(container.http('http://127.0.0.1:18000/server/health').status, 200)
    assert.equal(container.exec('/app/backend_server/docker/healthcheck').status, 0)
    assert.equal((await container.stop()).status, 0)
  }
})

test('U5: localhost may mean ::1 first', { skip }, async (t) => {
  const container = await startContainer(t, { env: { TOPOLOGY: 'nginx', ...withStandIn } })
  await untilHealthy(container, 80)
  container.exec('sh', '-c', `printf '::1 localhost\\n127.0.0.1 localhost\\n' >/etc/hosts`)
  for (const program of ['api', 'nginx', 'grafana']) {
    const { pid } = container.states()[program] ?? { pid: 0 }
    container.exec('kill', '-KILL', String(pid))
    await until(`${program} is back`, () => ![pid, 0].includes(container.states()[program]?.pid ?? 0), patienceMs)
  }
  await untilHealthy(container, 80)
  await untilRunning(container, ['api', 'nginx', 'grafana', 'postgres'])
  assert.equal(container.exec('/app/backend_server/docker/healthcheck').status, 0)
  assert.equal((await container.stop()).status, 0)
})

test('F2, F6: no path has braces in its name, and programs without rights may write temporary files', { skip }, async (t) => {
  const container = await startContainer(t, { env: { TOPOLOGY: 'nginx', ...withStandIn } })
  await untilHealthy(container, 80)
  for (const uid of ['10000', '10002', '472']) {
    const touch = container.exec('setpriv', '--reuid', uid, '--regid', uid, '--clear-groups', '--', 'touch', `/tmp/${uid}`)
    assert.equal(touch.status, 0, `${uid}: ${touch.stderr}`)
  }
  assert.match(container.exec('stat', '-c', '%a', '/tmp').stdout, /^1777$/m)
  // Packages bring such names; what this is about are folders that a shell made of a list.
  const found = container.exec(
    'find',
    '/app',
    '/etc',
    '/opt',
    '/run',
    '/srv',
    '/var',
    '-xdev',
    '-name',
    '*{*',
    '-not',
    '-path',
    '*/node_modules/*',
  )
  assert.equal(found.stdout, '')
  assert.equal((await container.stop()).status, 0)
})
