import assert from 'node:assert/strict'
import test from 'node:test'
import { ConfigError, readConfig } from '../../src/config.ts'

type Env = Record<string, string>

function problemsOf(env: Env): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

const url = 'postgresql://postgres.abc:secret@aws-0-eu-west-1.pooler.supabase.com:5432/postgres'
const supabase = { NEXT_PUBLIC_SUPABASE_URL: 'https://abc.supabase.co', NEXT_PUBLIC_SUPABASE_ANON_KEY: 'anon' }
const render = { RENDER: 'true', DEBUG: 'false', PORT: '10000', SERVER_PORT: '10000' }

test('S61-S65: the variables of the Render dashboard and a database URL are enough', () => {
  const config = readConfig({ ...render, ...supabase, NODE_ENV: 'production', DATABASE_URL: url })
  assert.deepEqual(
    [config.serverPort, config.serverHost, config.authMode, config.trustedProxies],
    [10_000, '0.0.0.0', 'required', 1],
  )
})

test('S66-S68: variables of the original that mean nothing here are ignored', () => {
  assert.deepEqual(problemsOf({ PYTHONPATH: '/app/shared', FLASK_ENV: 'production', PYTHONUNBUFFERED: '1' }), [])
})

const refused: [name: string, env: Env, names: RegExp][] = [
  ['S72: Render without a database', render, /^DATABASE_URL .*RENDER.*Session pooler.*EMBEDDED_DB/],
  ['S72: a durable database folder does not exist on Render', { ...render, EMBEDDED_DB: 'durable' }, /^DATABASE_URL .*RENDER/],
  ['S72: Supabase settings do not open a database', supabase, /^DATABASE_URL .*Session pooler.*pooler\.supabase\.com:5432/],
  [
    'S62: a Supabase URL without its key',
    { NEXT_PUBLIC_SUPABASE_URL: 'https://abc.supabase.co', DATABASE_URL: url },
    /both or neither/,
  ],
  ['S63: a Supabase key without its URL', { NEXT_PUBLIC_SUPABASE_ANON_KEY: 'anon' }, /both or neither/],
  ['S64: DEBUG on Render', { ...render, DATABASE_URL: url, DEBUG: '1' }, /^DEBUG /],
  ['S73: two ports on Render', { ...render, DATABASE_URL: url, PORT: '10001' }, /^PORT and SERVER_PORT /],
  ['S22: nginx on the port of the API', { TOPOLOGY: 'nginx', NGINX_PORT: '5110' }, /^NGINX_PORT must not be 5110/],
  ['S73: PORT behind nginx is checked too', { TOPOLOGY: 'nginx', PORT: 'entry' }, /^PORT must be a port number/],
]
for (const [name, env, expected] of refused) {
  test(`${name} is refused`, () => {
    const [problem, ...others] = problemsOf(env)
    assert.match(problem ?? 'accepted', expected)
    assert.deepEqual(others, [])
  })
}

test('S72: whoever wants the embedded database gets it', () => {
  assert.deepEqual(problemsOf({}), [])
  assert.deepEqual(problemsOf({ ...supabase, EMBEDDED_DB: 'durable' }), [])
  assert.deepEqual(problemsOf({ ...render, EMBEDDED_DB: 'ephemeral' }), [])
})

test('S73: PORT is the entry port of each topology', () => {
  assert.equal(readConfig({ PORT: '18000' }).serverPort, 18_000)
  assert.equal(readConfig({ PORT: '18000', SERVER_PORT: '18001' }).serverPort, 18_001)
  const behind = readConfig({ TOPOLOGY: 'nginx', PORT: '18000', SERVER_PORT: '5110', RENDER: 'true', DATABASE_URL: url })
  assert.deepEqual([behind.nginxPort, behind.serverPort, behind.trustedProxies], [18_000, 5110, 2])
  assert.equal(readConfig({ TOPOLOGY: 'nginx' }).nginxPort, 80)
  assert.equal(readConfig({ TOPOLOGY: 'nginx', PORT: '18000', NGINX_PORT: '8080' }).nginxPort, 8080)
})

test('S74: login is required in production in both topologies, also where the API listens on the loopback address', () => {
  const behind = readConfig({ TOPOLOGY: 'nginx', NODE_ENV: 'production', SERVER_HOST: '127.0.0.1' })
  assert.equal(behind.authMode, 'required')
  assert.equal(readConfig({ NODE_ENV: 'production' }).authMode, 'required')
})

test('E7: the public URL of the platform is the default of SERVER_URL', () => {
  const platform = { RENDER_EXTERNAL_URL: 'https://lab.onrender.com' }
  assert.equal(readConfig(platform).serverUrl, 'https://lab.onrender.com')
  assert.equal(readConfig({ ...platform, SERVER_URL: 'https://lab.example.org' }).serverUrl, 'https://lab.example.org')
})

test('S74, E5, L5: all problems come at once, by name, and no value is repeated', () => {
  const marker = 'hunter2'
  const problems = problemsOf({
    TOPOLOGY: marker,
    NGINX_PORT: marker,
    EMBEDDED_DB: marker,
    RENDER: marker,
    NEXT_PUBLIC_SUPABASE_URL: `ftp://${marker}`,
    DATABASE_URL: `mysql://user:${marker}@host/db`,
  }).join('\n')
  for (const name of ['TOPOLOGY', 'NGINX_PORT', 'EMBEDDED_DB', 'RENDER', 'NEXT_PUBLIC_SUPABASE_URL', 'DATABASE_URL'])
    assert.match(problems, new RegExp(`^${name} must be `, 'm'))
  assert.doesNotMatch(problems, new RegExp(marker))
})
