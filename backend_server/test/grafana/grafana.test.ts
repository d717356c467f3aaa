import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { dashboards } from '../../src/features/dashboards/json/index.ts'
import { until } from '../until.ts'
import { bearer, query, signIn } from './dashboard-calls.ts'
import { putVariables } from './expand-sql.ts'
import { addRun } from './seed-runs.ts'
import { type DashboardLab, grafanaBinary, startDashboards } from './start-dashboards.ts'
import { rawCall } from './start-proxy.ts'

test('U1: /grafana/ ends 200 after at most two redirects, and each file of the page answers 200', async (t) => {
  const lab = await startDashboards(t)
  const cookie = await signIn(lab, (await lab.createToken('ann', 'viewer')).secret)
  let address = `${lab.url}/grafana`
  let response = await fetch(address, { redirect: 'manual', headers: { cookie } })
  for (let redirects = 0; response.status !== 200; redirects += 1) {
    assert.ok(redirects < 2, 'a third redirect')
    address = new URL(response.headers.get('location') ?? '', address).href
    assert.ok(address.startsWith(`${lab.url}/grafana/`), address)
    response = await fetch(address, { redirect: 'manual', headers: { cookie } })
  }
  const html = await response.text()
  assert.match(html, /appSubUrl":\s*"\/grafana"/)
  const base = new URL(/<base href="([^"]+)"/.exec(html)?.[1] ?? '/', address)
  const files = [...html.matchAll(/(?:src|href)="([^"]+\.(?:js|css)[^"]*)"/g)].map((match) => new URL(match[1] ?? '', base))
  assert.ok(files.length >= 2)
  for (const file of files) {
    assert.ok(file.pathname.startsWith('/grafana/public/'), file.pathname)
    assert.equal((await fetch(file, { headers: { cookie } })).status, 200, file.pathname)
  }
  // What U1 is about: without the prefix Grafana itself sends people to the public address.
  const stripped = await fetch(new URL('/dashboards', lab.grafana), { redirect: 'manual' })
  assert.deepEqual([stripped.status, stripped.headers.get('location')], [301, `${lab.url}/grafana/dashboards`])
})

test('U2, G3: panels ask with POST through the whole way, and every panel of every dashboard is answered', async (t) => {
  const lab = await startDashboards(t)
  await addRun(lab.database.db)
  const cookie = await signIn(lab, (await lab.createToken('ann', 'viewer')).secret)
  for (const [file, dashboard] of Object.entries(dashboards)) {
    const stored = await fetch(`${lab.url}/grafana/api/dashboards/uid/${dashboard.uid}`, { headers: { cookie } })
    assert.equal(stored.status, 200, file)
    for (const panel of dashboard.panels) {
      for (const target of panel.targets) {
        const { status, body } = await query(lab, putVariables(target.rawSql, dashboard.templating.list), { cookie })
        assert.equal(status, 200, `${panel.title}: ${JSON.stringify(body)}`)
        assert.ok((body.results.A?.frames?.[0]?.data.values[0]?.length ?? 0) > 0, panel.title)
      }
    }
  }
  const login = await fetch(`${lab.url}/grafana/login`, {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/json' },
    body: '{"user":"a","password":"b"}',
  })
  assert.notEqual(login.status, 405)
})

test('G6, S94, S98: nobody becomes somebody else by headers, and each role is what it is for the API', async (t) => {
  const lab = await startDashboards(t)
  const spoofed = { 'x-webauth-user': 'virtualpytest', 'x-webauth-role': 'Admin', X_WEBAUTH_USER: 'virtualpytest' }
  const stranger = await fetch(`${lab.url}/grafana/api/user`, { headers: spoofed })
  assert.deepEqual([stranger.status, ((await stranger.json()) as { code: string }).code], [401, 'unauthorized'])
  for (const [role, theirs] of [
    ['viewer', 'Viewer'],
    ['tester', 'Editor'],
    ['admin', 'Admin'],
  ] as const) {
    const token = await lab.createToken(`Zoë ${role}`, role)
    for (const headers of [{ cookie: await signIn(lab, token.secret) }, bearer(token.secret)]) {
      const user = (await (await fetch(`${lab.url}/grafana/api/user`, { headers: { ...headers, ...spoofed } })).json()) as Record<
        string,
        unknown
      >
      assert.deepEqual(
        [user.login, user.name, user.isGrafanaAdmin],
        [`Zoe ${role}.${token.id.slice(0, 8)}`, `Zoe ${role}`, false],
      )
      const orgs = (await (await fetch(`${lab.url}/grafana/api/user/orgs`, { headers })).json()) as { role: string }[]
      assert.deepEqual(
        orgs.map((org) => org.role),
        [theirs],
      )
    }
  }
  // The other way in, port 3000 itself, believes the headers from this machine only and listens nowhere else.
  assert.equal(lab.grafana.hostname, '127.0.0.1')
})

test('G9: a person who signs in for the first time is in the organization that Grafana has by itself', async (t) => {
  for (const authMode of ['required', 'open'] as const) {
    const lab = await startDashboards(t, { authMode })
    const headers = authMode === 'open' ? {} : bearer((await lab.createToken('ann', 'viewer')).secret)
    const orgs = await (await fetch(`${lab.url}/grafana/api/user/orgs`, { headers })).json()
    assert.deepEqual(orgs, [{ orgId: 1, name: 'Main Org.', role: 'Viewer' }])
    const home = await fetch(`${lab.url}/grafana/`, { headers: { ...headers, accept: 'text/html' } })
    assert.equal(home.status, 200)
  }
})

test('S97, G7: the factory login opens nothing, at the form or as basic authentication', async (t) => {
  const lab = await startDashboards(t)
  const factory = { user: 'admin', password: 'admin' }
  const basic = { authorization: `Basic ${Buffer.from('admin:admin').toString('base64')}` }
  for (const origin of [lab.url, lab.grafana.origin]) {
    const form = await fetch(`${origin}/grafana/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(factory),
    })
    assert.ok(form.status === 401 || form.status === 403, `${origin}: ${form.status}`)
    assert.equal((await fetch(`${origin}/grafana/api/user`, { headers: basic })).status, 401)
  }
})

test('S26: a browser that is nobody gets a page to sign in, which sets a cookie for /grafana only', async (t) => {
  const lab = await startDashboards(t)
  const page = await fetch(`${lab.url}/grafana/d/script-results/x`, { headers: { accept: 'text/html' } })
  assert.equal(page.status, 401)
  const policy = page.headers.get('content-security-policy') ?? ''
  assert.match(policy, /^default-src 'none';.* script-src 'sha256-[^;]+;.* frame-ancestors 'self'$/)
  assert.match(await page.text(), /<form>/)
  const token = await lab.createToken('ann', 'viewer')
  const opened = await fetch(`${lab.url}/server/grafana-session`, { method: 'POST', headers: bearer(token.secret) })
  const [cookie = ''] = opened.headers.getSetCookie()
  assert.match(cookie, /^vpt_grafana=[\w.-]+; Path=\/grafana; Max-Age=43200; HttpOnly; SameSite=Lax$/)
  assert.ok(!cookie.includes(token.secret.slice(4)))
  const body = (await opened.json()) as { url: string; expires_at: string }
  assert.equal(body.url, '/grafana/')
  assert.ok(Date.parse(body.expires_at) > Date.now())
  const value = cookie.split(';')[0] ?? ''
  assert.equal((await fetch(`${lab.url}/grafana/api/user`, { headers: { cookie: value } })).status, 200)
  // Not one byte of it may be changed, and it opens nothing but Grafana.
  for (const forged of [`${value}x`, value.replace(/=./, '=A'), 'vpt_grafana=', 'vpt_grafana=e30.e30'])
    assert.equal((await fetch(`${lab.url}/grafana/api/user`, { headers: { cookie: forged } })).status, 401, forged)
  assert.equal((await fetch(`${lab.url}/server/grafana-session`, { method: 'POST', headers: { cookie: value } })).status, 401)
  const closed = await fetch(`${lab.url}/server/grafana-session`, { method: 'DELETE' })
  assert.match(closed.headers.getSetCookie()[0] ?? '', /^vpt_grafana=; Path=\/grafana; Max-Age=0/)
})

test('S26: a cookie ends with its token, within ten seconds', async (t) => {
  const lab = await startDashboards(t)
  const token = await lab.createToken('ann', 'viewer')
  const cookie = await signIn(lab, token.secret)
  // Not asked before: nothing is remembered about this token.
  await sql`update api_tokens set revoked_at = now() where id = ${token.id}`.execute(lab.database.db.kysely)
  assert.equal((await fetch(`${lab.url}/grafana/api/user`, { headers: { cookie } })).status, 401)
})

test('S26: with AUTH_MODE=open everybody is a viewer, also with a token', async (t) => {
  const lab = await startDashboards(t, { authMode: 'open' })
  const admin = await lab.createToken('boss', 'admin')
  for (const headers of [{}, bearer(admin.secret), { 'x-webauth-role': 'Admin' }] as Record<string, string>[]) {
    const orgs = (await (await fetch(`${lab.url}/grafana/api/user/orgs`, { headers })).json()) as { role: string }[]
    assert.deepEqual(
      orgs.map((org) => org.role),
      ['Viewer'],
    )
  }
  const session = await fetch(`${lab.url}/server/grafana-session`, { method: 'POST' })
  assert.deepEqual([session.headers.getSetCookie(), ((await session.json()) as { expires_at: unknown }).expires_at], [[], null])
})

test('G5: as a viewer INSERT, DDL, users and tokens are refused, and rows of other teams do not exist', async (t) => {
  const lab = await startDashboards(t)
  const otherTeam = randomUUID()
  await sql`insert into teams (id, name) values (${otherTeam}, 'Other')`.execute(lab.database.db.kysely)
  await addRun(lab.database.db, { teamId: otherTeam, name: 'theirs.py' })
  await addRun(lab.database.db, { name: 'ours.py' })
  const ann = bearer((await lab.createToken('ann', 'viewer')).secret)
  const seen = await query(lab, 'select script from report.script_results', ann)
  assert.deepEqual(seen.body.results.A?.frames?.[0]?.data.values, [['ours.py']])
  for (const statement of [
    "insert into virtualpytest.teams (id, name) values (gen_random_uuid(), 'x')",
    'create table report.mine (a int)',
    'select * from virtualpytest.api_tokens',
    'select * from virtualpytest.teams',
    'select rolpassword from pg_authid',
  ]) {
    const { status, body } = await query(lab, statement, ann)
    assert.notEqual(status, 200, statement)
    assert.match(JSON.stringify(body), /permission denied|read-only/, statement)
  }
})

/**
 * The most questions that the users of dashboards ask at once from now on. Connections are not counted while they come and go:
 * PostgreSQL shows one that its client has closed until its process has ended, which takes as long as the machine is busy.
 */
function watchQuestions(t: TestContext, lab: DashboardLab): () => number {
  let most = 0
  const watch = setInterval(() => {
    sql<{ n: number }>`
      select count(*)::int as n from pg_stat_activity
      where usename like 'vpt\\_report\\_%' and datname = current_database() and state = 'active'`
      .execute(lab.database.db.kysely)
      .then(({ rows }) => {
        most = Math.max(most, rows[0]?.n ?? 0)
      })
      .catch(() => {})
  }, 20)
  t.after(() => clearInterval(watch))
  return () => most
}

/** Connections that the users of dashboards have, open or about to end. */
async function countConnections(lab: DashboardLab): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from pg_stat_activity where usename like 'vpt\\_report\\_%' and datname = current_database()`.execute(
    lab.database.db.kysely,
  )
  return rows[0]?.n ?? 0
}

test('D3: however many panels ask at once, Grafana has two connections to the database', async (t) => {
  const lab = await startDashboards(t)
  const ann = bearer((await lab.createToken('ann', 'viewer')).secret)
  const most = watchQuestions(t, lab)
  const answers = await Promise.all(Array.from({ length: 12 }, () => query(lab, 'select pg_sleep(0.3)', ann)))
  assert.deepEqual(new Set(answers.map((one) => one.status)), new Set([200]))
  assert.equal(most(), 2)
})

test('N14, D3: however many teams look at dashboards at once, they have five connections together, and all get their answers', async (t) => {
  const lab = await startDashboards(t)
  const people = [bearer((await lab.createToken('ann', 'viewer')).secret)]
  for (const name of ['red', 'green', 'blue', 'black', 'white']) {
    const teamId = await lab.addTeam(name)
    people.push(bearer((await lab.createToken(name, 'viewer', teamId)).secret))
  }
  await lab.converge()
  const most = watchQuestions(t, lab)
  const answers = await Promise.all(
    people.flatMap((person) => Array.from({ length: 3 }, () => query(lab, 'select pg_sleep(0.5)', person))),
  )
  assert.deepEqual(
    answers.map((one) => one.status),
    answers.map(() => 200),
  )
  assert.ok(most() >= 3 && most() <= 4, `${most()} questions at once`)
  await until('only the connection that the default team keeps is left', async () => (await countConnections(lab)) <= 1)
})

test('S26: pages of other addresses cannot use the cookie of a browser, nor the lack of one where login is off', async (t) => {
  for (const authMode of ['required', 'open'] as const) {
    const lab = await startDashboards(t, { authMode })
    const cookie = authMode === 'open' ? '' : await signIn(lab, (await lab.createToken('ann', 'viewer')).secret)
    assert.equal((await query(lab, 'select 1', { cookie, origin: lab.url })).status, 200)
    assert.equal((await query(lab, 'select 1', { cookie, origin: 'https://evil.example.org' })).status, 403)
    assert.equal((await query(lab, 'select 1', { cookie, origin: 'null' })).status, 403)
  }
})

test('W4: with Live off, as the server configures it, no socket opens', async (t) => {
  const lab = await startDashboards(t)
  const token = await lab.createToken('ann', 'viewer')
  const answer = await rawCall(t, lab.port, handshake(lab, bearer(token.secret), lab.url))
  assert.ok(answer.status === 404 || answer.status === 403 || answer.status === 400, String(answer.status))
  const elsewhere = await rawCall(
    t,
    lab.port,
    handshake(lab, { cookie: await signIn(lab, token.secret) }, 'https://evil.example.org'),
  )
  assert.equal(elsewhere.status, 403)
})

test('W4: with Live on it opens from the public address and from no other', async (t) => {
  const lab = await startDashboards(t, { isLive: true })
  const token = bearer((await lab.createToken('ann', 'viewer')).secret)
  const open = await rawCall(t, lab.port, handshake(lab, token, lab.url))
  assert.equal(open.status, 101)
  if (!grafanaBinary) {
    // A masked text frame with "ping", as a browser sends it.
    const mask = [1, 2, 3, 4]
    open.socket.write(Buffer.from([0x81, 0x84, ...mask, ...Buffer.from('ping').map((byte, at) => byte ^ (mask[at] ?? 0))]))
    await until('the echo', () => open.rest().endsWith('ping'))
  }
  for (const origin of ['https://evil.example.org', `http://127.0.0.1.evil.example.org:${lab.port}`])
    assert.equal((await rawCall(t, lab.port, handshake(lab, token, origin))).status, 403)
})

test('U3: several cookies arrive, and a Grafana that was killed is a 503 that tells nothing', async (t) => {
  const lab = await startDashboards(t)
  const cookie = await signIn(lab, (await lab.createToken('ann', 'viewer')).secret)
  if (!grafanaBinary) {
    const page = await fetch(`${lab.url}/grafana/`, { headers: { cookie } })
    assert.equal(page.headers.getSetCookie().length, 2)
  }
  assert.equal((await fetch(`${lab.url}/grafana/api/health`)).status, 200, 'S88: its health is for everybody')
  await lab.stopGrafana()
  const started = performance.now()
  const response = await fetch(`${lab.url}/grafana/api/health`, { headers: { cookie } })
  const text = await response.text()
  assert.equal(response.status, 503)
  assert.equal((JSON.parse(text) as { code: string }).code, 'grafana_unavailable')
  assert.doesNotMatch(text, /127\.0\.0\.1|ECONN|node:/)
  assert.ok(performance.now() - started < 10_000)
})

test('S42: switched off it is a 503 that says so, to everybody', async (t) => {
  const lab = await startDashboards(t, { mode: 'off' })
  const response = await fetch(`${lab.url}/grafana/api/health`)
  const body = (await response.json()) as { code: string; error: string }
  assert.deepEqual(
    [response.status, body.code, body.error],
    [503, 'grafana_unavailable', 'Dashboards are switched off on this server.'],
  )
})

test('U3: slow answers wait, large ones flow', { skip: grafanaBinary ? 'needs the stand-in' : false }, async (t) => {
  const lab = await startDashboards(t, { authMode: 'open' })
  const slow = await fetch(`${lab.url}/grafana/api/stand-in/slow?ms=1500`)
  assert.deepEqual(await slow.json(), { slow: true })
  const large = await fetch(`${lab.url}/grafana/api/stand-in/large?mb=20`)
  assert.equal((await large.arrayBuffer()).byteLength, 20 * 1024 * 1024)
})

function handshake(lab: DashboardLab, headers: Record<string, string>, origin: string): string {
  return [
    'GET /grafana/api/live/ws HTTP/1.1',
    `Host: 127.0.0.1:${lab.port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    `Origin: ${origin}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '',
    '',
  ].join('\r\n')
}
