import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import { until } from '../until.ts'
import { aStep, errorAnswer, startFakeApi } from './fake-api.ts'
import { startVpt, vpt } from './run-vpt.ts'

const commands = [
  ['run'],
  ['runs'],
  ['show'],
  ['watch'],
  ['cancel'],
  ['log'],
  ['devices'],
  ['who'],
  ['take'],
  ['wait'],
  ['release'],
  ['extend'],
  ['ask'],
  ['answer'],
  ['press'],
  ['type'],
  ['tap'],
  ['launch'],
  ['open'],
  ['power'],
  ['screenshot'],
  ['verify'],
  ['hosts'],
  ['scripts'],
  ['demo'],
  ['server'],
  ['host'],
  ['host', 'add'],
  ['token'],
  ['token', 'create'],
  ['token', 'list'],
  ['token', 'revoke'],
  ['team'],
  ['team', 'create'],
  ['team', 'list'],
  ['config'],
  ['config', 'check'],
  ['programs'],
  ['doctor'],
  ['backup'],
  ['restore'],
  ['backups'],
]

test('every command explains itself, and needs no server to do so', async (t) => {
  const explain = async (command: readonly string[]): Promise<void> => {
    const result = await vpt(t, [...command, '--help'], { VPT_SERVER: 'not a url' })
    assert.equal(result.code, 0, command.join(' '))
    assert.match(result.stdout, new RegExp(`^Usage: vpt ${command.join(' ')}\\b`))
    assert.equal(result.stderr, '')
  }
  // A few at a time: each is a process of its own.
  const left = [...commands]
  await Promise.all(
    Array.from({ length: 3 }, async () => {
      for (let command = left.shift(); command; command = left.shift()) await explain(command)
    }),
  )
  const all = await vpt(t, ['--help'])
  for (const [name = ''] of commands) assert.match(all.stdout, new RegExp(`^  ${name}\\b`, 'm'))
})

test('wrong arguments end with 4 and say what is wrong', async (t) => {
  for (const [args, says] of [
    [['run', 'x.ts'], /--device/],
    [['run', 'x.ts', '-d', 'device1'], /HOST:DEVICE/],
    [['run', 'x.ts', '-d', 'a:b', '--retries', '9'], /whole number from 0 to 5/],
    [['run', 'x.ts', '-d', 'a:b', '-p', '=5'], /key=value/],
    [['runs', '--limit', 'many'], /whole number/],
    [['programs', '--lines', '201'], /whole number from 0 to 200/],
    [['nothing'], /unknown command/],
    [['token', 'create', 'x', '--role', 'king'], /viewer, tester, admin/],
  ] as const) {
    const result = await vpt(t, args)
    assert.equal(result.code, 4, args.join(' '))
    assert.match(result.stderr, says)
    assert.equal(result.stdout, '')
  }
})

test('without a server: which address, why, and what to try', async (t) => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const server = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`
  await new Promise((resolve) => closed.close(resolve))
  const result = await vpt(t, ['devices'], { VPT_SERVER: server })
  assert.equal(result.code, 4)
  assert.equal(result.stdout, '')
  assert.ok(result.stderr.includes(`No server answers at ${server} (connection refused).`))
  assert.match(result.stderr, /npm start/)
  assert.match(result.stderr, /VPT_SERVER/)
  const json = await vpt(t, ['devices', '--json'], { VPT_SERVER: server })
  assert.equal((JSON.parse(json.stdout) as { code: string }).code, 'server_unreachable')
  const bad = await vpt(t, ['devices'], { VPT_SERVER: 'lab.example.org' })
  assert.match(bad.stderr, /VPT_SERVER must be an http or https URL/)
})

test('what answers but is no lab is named as that, and a refusal says what helps', async (t) => {
  const api = await startFakeApi(t)
  const env = { VPT_SERVER: api.url }
  api.on('GET /server/runs', () => ({ body: { hello: 'world' } }))
  const strange = await vpt(t, ['runs'], env)
  assert.equal(strange.code, 4)
  assert.match(strange.stderr, /does not understand/)
  api.on('GET /server/runs', () => errorAnswer(401, 'unauthorized', 'A valid credential is required.'))
  assert.match(
    (await vpt(t, ['runs'], env)).stderr,
    /\(unauthorized, 401, request [0-9a-f-]+\)\n {2}This server wants a token: set VPT_TOKEN/,
  )
  assert.match((await vpt(t, ['runs'], { ...env, VPT_TOKEN: 'x' })).stderr, /has expired or was revoked/)
  const json = await vpt(t, ['runs', '--json'], env)
  assert.equal((JSON.parse(json.stdout) as { code: string }).code, 'unauthorized')
})

test('S103: programs shows what supervisorctl status shows, and log lines where asked', async (t) => {
  const api = await startFakeApi(t)
  const program = { exit_status: null, required: true, started_at: '2026-01-01T00:00:00.000Z', log: ['first', 'last\u001b[2J'] }
  const programs = [
    { ...program, name: 'api', state: 'RUNNING', pid: 123, uptime_seconds: 300, restarts: 0, memory_bytes: 73_400_320 },
    {
      ...program,
      name: 'grafana',
      state: 'BACKOFF',
      pid: null,
      started_at: null,
      uptime_seconds: null,
      restarts: 5,
      memory_bytes: null,
      exit_status: 1,
    },
  ]
  const asked: string[] = []
  api.on('GET /server/system/programs', ({ query }) => {
    asked.push(String(query.get('lines')))
    return { body: { success: true, supervised: true, programs } }
  })
  const table = await vpt(t, ['programs'], { VPT_SERVER: api.url })
  assert.equal(table.code, 0, table.stderr)
  assert.match(table.stdout, /^api +RUNNING +123 +5 min 00 s +0 +70 MB *$/m)
  assert.match(table.stdout, /^grafana +BACKOFF +5 +1 *$/m)
  assert.doesNotMatch(table.stdout, /first/)
  const withLog = await vpt(t, ['programs', '--lines', '2'], { VPT_SERVER: api.url })
  assert.match(withLog.stdout, /\napi\nfirst\nlast/)
  assert.ok(!withLog.stdout.includes('\u001b'), 'a log cannot move the cursor')
  assert.deepEqual(asked, ['0', '2'])
  const json = await vpt(t, ['programs', '--json'], { VPT_SERVER: api.url })
  assert.deepEqual((JSON.parse(json.stdout) as { programs: unknown }).programs, programs)
})

test('devices shows state and holder, scripts their hosts, both as JSON too', async (t) => {
  const api = await startFakeApi(t)
  const device = (device_id: string) => ({
    device_id,
    device_name: `Box ${device_id}`,
    device_model: 'stb',
    has_running_deployment: false,
    isLocked: false,
    lockedBy: null,
    lockedAt: null,
  })
  const host = (host_name: string, status: string, devices: object[]) => ({
    host_name,
    host_url: '',
    host_port: 1,
    status,
    device_count: 1,
    system_stats: {},
    isLocked: false,
    lockedBy: null,
    lockedAt: null,
    devices,
  })
  const server_info = { server_name: 's', server_url: '', server_port: '' }
  api.on('GET /server/system/getAllHosts', () => ({
    body: {
      success: true,
      server_info,
      hosts: [host('rack-1', 'online', [device('device1'), device('device2')]), host('rack-2', 'offline', [device('device1')])],
    },
  }))
  const at = new Date(Date.now() - 5000).toISOString()
  const holder = {
    lease_id: api.run.id,
    kind: 'run',
    name: 'zapping.ts',
    is_you: false,
    address: null,
    purpose: null,
    since: at,
    until: at,
    last_activity_at: at,
    kept_until: null,
    run: { id: api.run.id, name: 'zapping.ts', status: 'running', path: '' },
  }
  const held = {
    host_name: 'rack-1',
    device_id: 'device1',
    device_name: null,
    status: 'leased',
    status_since: at,
    status_reason: 'leased by a run',
    status_actor: null,
    health: { state: 'unknown', reason: null, since: null, checked_at: null },
    holder,
    asks: [],
    waiting: [],
  }
  api.on('GET /server/devices/holders', () => ({ body: { success: true, devices: [held] } }))
  const table = await vpt(t, ['devices'], { VPT_SERVER: api.url })
  assert.match(
    table.stdout,
    new RegExp(`^rack-1:device1 +Box device1 +stb +leased +[\\d: -]+ +zapping.ts \\(run\\), run ${api.run.id.slice(0, 8)}$`, 'm'),
  )
  assert.match(table.stdout, /^rack-1:device2 +Box device2 +stb +available$/m)
  assert.match(table.stdout, /^rack-2:device1 +Box device1 +stb +offline$/m)
  const json = JSON.parse((await vpt(t, ['devices', '--json'], { VPT_SERVER: api.url })).stdout) as {
    devices: { status: string }[]
  }
  assert.deepEqual(
    json.devices.map(({ status }) => status),
    ['leased', 'available', 'offline'],
  )

  const details = [{ name: 'zapping.ts', hosts: ['rack-1', 'rack-2'] }]
  api.on('GET /server/script/list', () => ({
    body: {
      success: true,
      scripts: ['zapping.ts'],
      count: 1,
      scripts_directory: '',
      regular_scripts: [],
      ai_scripts: [],
      ai_test_cases_info: [],
      details,
    },
  }))
  assert.match((await vpt(t, ['scripts'], { VPT_SERVER: api.url })).stdout, /^zapping\.ts +rack-1, rack-2$/m)
})

test('runs, show, log and cancel work on ids, their beginnings and "last"', async (t) => {
  const api = await startFakeApi(t)
  const env = { VPT_SERVER: api.url }
  api.steps.push(aStep(1, 'Open menu'), aStep(2, 'Read item', { outcome: 'failed', message: 'not found' }))
  api.lines.push('one', 'two')
  const list = await vpt(t, ['runs', '--status', 'open', '-d', 'rack-1:device1', '-n', '5'], env)
  assert.match(list.stdout, new RegExp(`^${api.run.id.slice(0, 8)} +running +zapping\\.ts +rack-1:device1`, 'm'))
  assert.deepEqual(Object.fromEntries(api.requests[0]?.query ?? []), {
    limit: '5',
    status: 'open',
    host_name: 'rack-1',
    device_id: 'device1',
  })
  for (const id of [api.run.id, api.run.id.slice(0, 6), 'last']) {
    const shown = await vpt(t, ['show', id], env)
    assert.match(shown.stdout, /RUNNING {2}zapping\.ts[\s\S]*✓ Open menu[\s\S]*✗ Read item[\s\S]*not found/)
  }
  assert.equal((await vpt(t, ['log', 'last'], env)).stdout, 'one\ntwo\n')
  assert.deepEqual((JSON.parse((await vpt(t, ['log', 'last', '--json'], env)).stdout) as { lines: string[] }).lines, [
    'one',
    'two',
  ])
  const unknown = await vpt(t, ['show', api.run.id.startsWith('0000') ? 'ffff' : '0000'], env)
  assert.equal(unknown.code, 4)
  assert.match(unknown.stderr, /begins with/)
  const cancelled = await vpt(t, ['cancel', 'last', '--reason', 'wrong box'], env)
  assert.equal(cancelled.code, 0)
  assert.deepEqual(api.requests.at(-1)?.body, { reason: 'wrong box' })
})

test('log --follow prints the log as it grows, byte for byte, and ends with the verdict', async (t) => {
  const api = await startFakeApi(t)
  api.lines.push('\u001B[31mred\u001B[0m')
  const following = startVpt(t, ['log', 'last', '--follow'], { VPT_SERVER: api.url })
  await until('the stream is open', () => api.streams() === 1)
  api.event('run.log', { from: 1, lines: ['more'] })
  api.lines.push('more')
  api.finish({ status: 'failed' })
  assert.equal(await following.ended, 1, following.stderr())
  assert.equal(following.stdout(), '\u001B[31mred\u001B[0m\nmore\n')
})

test('secrets that are shown once stand alone on standard output', async (t) => {
  const api = await startFakeApi(t)
  const env = { VPT_SERVER: api.url, VPT_TOKEN: 'admin' }
  const at = new Date().toISOString()
  const details = {
    id: api.run.id,
    team_id: api.run.team_id,
    name: 'ci',
    role: 'viewer',
    created_at: at,
    expires_at: at,
    last_used_at: null,
    revoked_at: null,
  }
  api.on('POST /server/tokens', () => ({ status: 201, body: { success: true, token: 'vpt_abc', details } }))
  const token = await vpt(t, ['token', 'create', 'ci', '--role', 'viewer', '--days', '30'], env)
  assert.equal(token.stdout, 'vpt_abc\n')
  assert.deepEqual(api.requests.at(-1)?.body, { name: 'ci', role: 'viewer', expires_in_days: 30 })

  api.on('GET /server/tokens', () => ({ body: { success: true, tokens: [details] } }))
  assert.match((await vpt(t, ['token', 'list'], env)).stdout, new RegExp(`^${details.id} +ci +viewer +expired`, 'm'))
  api.on(`DELETE /server/tokens/${details.id}`, () => ({ body: { success: true, details } }))
  assert.equal((await vpt(t, ['token', 'revoke', details.id], env)).stdout, 'Revoked ci.\n')

  api.on('POST /server/hosts', () => ({ status: 201, body: { success: true, host_name: 'rack 3', key: 'key_abc' } }))
  const host = await vpt(t, ['host', 'add', 'rack 3'], env)
  assert.equal(host.stdout, `SERVER_URL=${api.url}\nHOST_NAME='rack 3'\nAPI_KEY=key_abc\n`)

  const team = {
    id: api.run.team_id,
    name: 'TV',
    description: null,
    tenant_id: null,
    created_by: null,
    is_default: false,
    member_count: 0,
    created_at: at,
    updated_at: at,
  }
  api.on('POST /server/teams', () => ({ status: 201, body: { ...team, admin_token: null } }))
  assert.equal((await vpt(t, ['team', 'create', 'TV'], env)).stdout, `${team.id}\n`)
  api.on('POST /server/teams', () => ({ status: 201, body: { ...team, admin_token: 'vpt_first' } }))
  assert.equal((await vpt(t, ['team', 'create', 'TV'], env)).stdout, 'vpt_first\n')
})

test('config check names every problem and no value, and hides secrets', async (t) => {
  const good = await vpt(t, ['config', 'check'], {
    API_KEY: 'a-very-secret-key-0001',
    SERVER_PORT: '8080',
    DATABASE_URL: 'postgres://u:pw@db/x',
  })
  assert.equal(good.code, 0, good.stderr)
  assert.match(good.stdout, /^SERVER_PORT +8080 +environment$/m)
  assert.match(good.stdout, /^API_KEY +set, not shown +environment$/m)
  assert.match(good.stdout, /^AUTH_MODE +open +default$/m)
  assert.doesNotMatch(good.stdout, /secret-key|pw@/)
  const bad = await vpt(t, ['config', 'check'], { API_KEY: 'hidden', SERVER_PORT: 'harbor', AUTH_MODE: 'maybe' })
  assert.equal(bad.code, 1)
  for (const name of ['API_KEY', 'SERVER_PORT', 'AUTH_MODE']) assert.match(bad.stdout, new RegExp(`^  ${name} must be`, 'm'))
  assert.doesNotMatch(bad.stdout + bad.stderr, /hidden|harbor|maybe/)
  const json = await vpt(t, ['config', 'check', '--json'], { SERVER_PORT: 'harbor' })
  assert.deepEqual(JSON.parse(json.stdout), { success: false, problems: ['SERVER_PORT must be a port number'], settings: [] })
})
