import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { ConfigError, readConfig, settings } from './config.ts'

type Environment = Record<string, string | undefined>

const marker = 'mark7'
/** Any text is a folder, a name or a key. */
const takesAnything = new Set([
  'DATA_DIR',
  'TEST_SCRIPTS_DIR',
  'SERVER_NAME',
  'BACKUP_DIR',
  'FIRST_TOKEN_FILE',
  'NEXT_PUBLIC_SUPABASE_ANON_KEY',
])
const wrongFor = (name: string): string => (name === 'SERVER_HOST' ? `${marker} ${marker}` : marker)

function problemsOf(env: Environment): string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    assert.equal(error.message, ['Configuration:', ...error.problems.map((problem) => `  ${problem}`)].join('\n'))
    return [...error.problems]
  }
}

test('without any setting: a server for this machine', () => {
  const config = readConfig({})
  assert.deepEqual(
    [
      config.serverPort,
      config.serverHost,
      config.authMode,
      config.hostRegistration,
      config.logLevel,
      config.production,
      config.databaseUrl,
      config.compatPort,
    ],
    [10_000, '127.0.0.1', 'open', 'open', 'info', false, undefined, undefined],
  )
  assert.deepEqual(
    [config.serverName, config.dataDir, config.trustedProxies, config.corsOrigins],
    [hostname(), path.resolve('data'), 0, []],
  )
  assert.match(config.version, /^\d+\.\d+\.\d+/)
  assert.ok(Object.isFrozen(config))
})

test('every wrong value is reported, all at once, by name and rule, and no value appears', () => {
  const names = Object.values(settings).map((setting) => setting.env)
  assert.equal(new Set(names).size, names.length, 'one setting per variable')
  const checked = names.filter((name) => !takesAnything.has(name))
  const problems = problemsOf(Object.fromEntries(checked.map((name) => [name, wrongFor(name)])))
  const expected = Object.values(settings)
    .filter((setting) => checked.includes(setting.env))
    .map((setting) => `${setting.env} must be ${setting.says}`)
  assert.deepEqual(problems, expected)
  assert.ok(!problems.join().includes(marker))
  for (const name of checked) {
    const alone = problemsOf({ [name]: wrongFor(name) })
    assert.equal(alone.length, 1, name)
    assert.match(alone[0] ?? '', new RegExp(`^${name} must be `))
  }
})

test('values at the edge of what is accepted', () => {
  const wrong: Record<string, string[]> = {
    SERVER_PORT: ['-1', '65536', '1.5', '0x50', '1e3', '80 80', 'https', '999999'],
    COMPAT_PORT: ['-1', '65536', '5109/tcp'],
    SERVER_HOST: ['a b', '127.0.0.1;', 'http://x', '*'],
    DATABASE_URL: ['localhost:5432/lab', 'mysql://u:p@h/d', 'http://h/d', 'postgres', '://'],
    DATABASE_CONNECTIONS: ['0', '1', '100', '-5', '5.5', 'many'],
    DASHBOARD_CONNECTIONS: ['0', '2', '100', 'few'],
    API_KEY: ['short', '123456789012345'],
    AUTH_MODE: ['Open', 'none', 'off', 'true'],
    HOST_REGISTRATION: ['keys', 'KEY', 'closed'],
    SERVER_URL: ['lab.example.org', 'ftp://lab', 'javascript:alert(1)', 'http://'],
    DEBUG: ['yes', 'on', '2'],
    LOG_LEVEL: ['verbose', 'INFO', 'warning'],
    CORS_ORIGINS: ['*', 'lab.example.org', 'https://a, b', 'file:///x', 'null'],
    TRUSTED_PROXIES: ['-1', '10', '1.0', 'loopback'],
    NODE_ENV: ['prod', 'Production', 'staging'],
  }
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) assert.equal(problemsOf({ [name]: value }).length, 1, `${name}=${value}`)
  }
  const right: Record<string, string[]> = {
    SERVER_PORT: ['0', '80', '65535', ' 8080 '],
    SERVER_HOST: ['0.0.0.0', '::', '::1', 'lab.local', 'fe80::1%eth0'],
    DATABASE_URL: ['postgres://u:p@h:5432/d', 'postgresql://u@h/d?sslmode=require'],
    DATABASE_CONNECTIONS: ['2', '99'],
    API_KEY: ['1234567890123456'],
    DEBUG: ['true', 'false', '1', '0'],
    CORS_ORIGINS: ['https://a.example', 'https://a.example/, http://b:8080 ,'],
    TRUSTED_PROXIES: ['0', '9'],
  }
  for (const [name, values] of Object.entries(right)) {
    for (const value of values) assert.deepEqual(problemsOf({ [name]: value, AUTH_MODE: 'open' }), [], `${name}=${value}`)
  }
})

test('an empty or blank variable is an absent one', () => {
  const blank = Object.fromEntries(Object.values(settings).map((setting, index) => [setting.env, index % 2 === 0 ? '' : '   ']))
  assert.deepEqual(readConfig(blank), readConfig({}))
})

test('PORT stands in for SERVER_PORT, and is named when it is wrong', () => {
  assert.equal(readConfig({ PORT: '8080' }).serverPort, 8080)
  assert.equal(readConfig({ PORT: '8080', SERVER_PORT: '9090' }).serverPort, 9090)
  assert.deepEqual(problemsOf({ PORT: 'web' }), ['PORT must be a port number'])
})

test('who may call follows from where the server listens, and is never opened by accident', () => {
  const cases: [Environment, 'open' | 'required', string][] = [
    [{}, 'open', '127.0.0.1'],
    [{ SERVER_HOST: 'localhost' }, 'open', 'localhost'],
    [{ SERVER_HOST: '::1' }, 'open', '::1'],
    [{ SERVER_HOST: '0.0.0.0' }, 'required', '0.0.0.0'],
    [{ SERVER_HOST: '192.168.1.5' }, 'required', '192.168.1.5'],
    [{ SERVER_HOST: '127.0.0.1.evil.example' }, 'required', '127.0.0.1.evil.example'],
    [{ NODE_ENV: 'production' }, 'required', '0.0.0.0'],
    [{ NODE_ENV: 'production', SERVER_HOST: '127.0.0.1' }, 'required', '127.0.0.1'],
    [{ NODE_ENV: 'production', AUTH_MODE: 'open' }, 'open', '0.0.0.0'],
    [{ SERVER_HOST: '0.0.0.0', AUTH_MODE: 'open' }, 'open', '0.0.0.0'],
    [{ AUTH_MODE: 'required' }, 'required', '127.0.0.1'],
  ]
  for (const [env, authMode, serverHost] of cases) {
    const config = readConfig(env)
    assert.deepEqual([config.authMode, config.serverHost], [authMode, serverHost], JSON.stringify(env))
  }
})

test('settings that only make sense together', () => {
  assert.deepEqual(problemsOf({ HOST_REGISTRATION: 'key' }), [
    'API_KEY must be set when HOST_REGISTRATION is key and AUTH_MODE is open',
  ])
  assert.deepEqual(problemsOf({ HOST_REGISTRATION: 'key', API_KEY: 'x'.repeat(16) }), [])
  assert.deepEqual(problemsOf({ HOST_REGISTRATION: 'key', AUTH_MODE: 'required' }), [], 'each host may have a key of its own')
  assert.equal(readConfig({ DEBUG: 'true' }).logLevel, 'debug')
  assert.equal(readConfig({ DEBUG: 'true', LOG_LEVEL: 'error' }).logLevel, 'error')
  assert.deepEqual(readConfig({ CORS_ORIGINS: 'https://Lab.Example.org/, http://b:8080/x' }).corsOrigins, [
    'https://lab.example.org',
    'http://b:8080',
  ])
})

test('secrets are marked, so that nothing prints them', () => {
  const secrets: string[] = Object.values(settings)
    .filter((setting) => 'secret' in setting && setting.secret === true)
    .map((setting) => setting.env)
  for (const name of ['API_KEY', 'DATABASE_URL']) assert.ok(secrets.includes(name), name)
})
