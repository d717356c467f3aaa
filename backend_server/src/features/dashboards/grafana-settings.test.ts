import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grafanaEnvironmentProblems } from './grafana-environment.ts'
import { type GrafanaSettingsInput, grafanaSettings, settingsAsEnvironment, settingsAsIni } from './grafana-settings.ts'

const input: GrafanaSettingsInput = {
  publicUrl: 'https://lab.example.org',
  port: 3000,
  dataFolder: '/data/grafana/data',
  provisioningFolder: '/data/grafana/provisioning',
  homeDashboard: '/app/grafana/dashboards/runs/script-results.json',
  secrets: {
    secretKey: 'a'.repeat(64),
    adminPassword: 'b'.repeat(64),
  },
  signOnKeyFile: '/data/grafana/provisioning/sign-on.pem',
  frameOrigins: [],
  isLive: false,
}

test('U1, U5, W4, S97, G6, G7, G10: what the configuration says', () => {
  const env = settingsAsEnvironment(grafanaSettings(input))
  assert.partialDeepStrictEqual(env, {
    GF_SERVER_ROOT_URL: 'https://lab.example.org/grafana/',
    GF_SERVER_SERVE_FROM_SUB_PATH: 'true',
    GF_SERVER_HTTP_ADDR: '127.0.0.1',
    GF_SERVER_HTTP_PORT: '3000',
    GF_LIVE_MAX_CONNECTIONS: '0',
    GF_AUTH_ANONYMOUS_ENABLED: 'false',
    GF_AUTH_BASIC_ENABLED: 'false',
    GF_AUTH_DISABLE_LOGIN_FORM: 'true',
    GF_AUTH_PROXY_ENABLED: 'false',
    GF_AUTH_JWT_ENABLED: 'true',
    GF_AUTH_JWT_URL_LOGIN: 'false',
    GF_AUTH_JWT_ROLE_ATTRIBUTE_STRICT: 'true',
    GF_AUTH_JWT_EXPECT_CLAIMS: '{"iss":"virtualpytest-server"}',
    GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: 'true',
    GF_SECURITY_SECRET_KEY: input.secrets.secretKey,
    GF_SECURITY_COOKIE_SECURE: 'true',
    GF_SECURITY_ALLOW_EMBEDDING: 'false',
    GF_UNIFIED_ALERTING_ENABLED: 'false',
    GF_ANALYTICS_REPORTING_ENABLED: 'false',
  })
  assert.deepEqual(
    grafanaEnvironmentProblems({ GF_SECURITY_SECRET_KEY: env.GF_SECURITY_SECRET_KEY }, { authMode: 'required' }),
    [],
  )
  const live = settingsAsEnvironment(grafanaSettings({ ...input, isLive: true }))
  assert.equal(live.GF_LIVE_ALLOWED_ORIGINS, 'https://lab.example.org')
})

test('G8: pages of named origins may show dashboards in frames', () => {
  const framed = settingsAsEnvironment(grafanaSettings({ ...input, frameOrigins: ['https://app.example.org'] }))
  assert.equal(framed.GF_SECURITY_ALLOW_EMBEDDING, 'true')
  assert.equal(framed.GF_SECURITY_COOKIE_SAMESITE, 'none')
  assert.match(framed.GF_SECURITY_CONTENT_SECURITY_POLICY_TEMPLATE ?? '', /frame-ancestors 'self' https:\/\/app\.example\.org$/)
  const ini = settingsAsIni(grafanaSettings({ ...input, frameOrigins: ['https://app.example.org'] }))
  assert.match(ini, /^content_security_policy_template = """script-src .*"""$/m)
  assert.match(ini, /^\[auth\.jwt\]\nenabled = true\n/m)
  assert.match(ini, /^root_url = https:\/\/lab\.example\.org\/grafana\/$/m)
})

test('S74: a value that the configuration cannot hold stops the start and is not repeated', () => {
  for (const bad of ['/data/$' + '{HOME}', '/data/$__file{/etc/passwd}', '/data/a\nadmin_password = x', '/data/%(domain)s'])
    assert.throws(
      () => settingsAsIni(grafanaSettings({ ...input, dataFolder: bad })),
      (error) => {
        assert.match(String(error), /paths\.data has a sign/)
        assert.ok(!String(error).includes(bad))
        return true
      },
    )
})

test('S97, G7: factory values and opened doors in the environment are problems, named and not repeated', () => {
  const rows: [env: Record<string, string>, problem: RegExp][] = [
    [{ GF_SECURITY_ADMIN_PASSWORD: 'admin' }, /^GF_SECURITY_ADMIN_PASSWORD must not be the factory password/],
    [{ GF_SECURITY_SECRET_KEY: 'SW2YcwTIb9zpOOhoPsMm' }, /^GF_SECURITY_SECRET_KEY must not be the factory key/],
    [{ GF_AUTH_ANONYMOUS_ENABLED: 'True' }, /^GF_AUTH_ANONYMOUS_ENABLED must not be true/],
    [{ GF_AUTH_PROXY_WHITELIST: '0.0.0.0/0' }, /^GF_AUTH_PROXY_WHITELIST must not be set/],
    [{ GF_AUTH_DISABLE_LOGIN_FORM: 'false' }, /^GF_AUTH_DISABLE_LOGIN_FORM must not be set/],
    [{ GF_SERVER_HTTP_ADDR: '0.0.0.0' }, /^GF_SERVER_HTTP_ADDR must not be set/],
    [{ GF_SERVER_ROOT_URL: 'https://lab.example.org/' }, /^GF_SERVER_ROOT_URL must end with/],
    [{ GF_SERVER_SERVE_FROM_SUB_PATH: 'false' }, /^GF_SERVER_SERVE_FROM_SUB_PATH must be true/],
  ]
  for (const [env, problem] of rows) {
    const found = grafanaEnvironmentProblems(env, { authMode: 'required' })
    assert.equal(found.length, 1)
    assert.match(found[0] ?? '', problem)
    for (const value of Object.values(env)) if (value.length > 8) assert.ok(!found[0]?.includes(value))
  }
  const fine = {
    GF_SECURITY_ADMIN_PASSWORD: 'long and random',
    GF_SERVER_HTTP_PORT: '3000',
    GF_PATHS_DATA: '/x',
    GF_AUTH_PROXY_WHITELIST: '',
  }
  assert.deepEqual(grafanaEnvironmentProblems(fine, { authMode: 'required' }), [])
  assert.deepEqual(grafanaEnvironmentProblems({ GF_AUTH_ANONYMOUS_ENABLED: 'true' }, { authMode: 'open' }), [])
})
