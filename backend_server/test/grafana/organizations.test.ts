import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { defaultTeamId, type Role } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { dashboards } from '../../src/features/dashboards/json/index.ts'
import { until } from '../until.ts'
import { bearer, firstColumn, query, signIn } from './dashboard-calls.ts'
import { putVariables } from './expand-sql.ts'
import { addRun } from './seed-runs.ts'
import { type DashboardLab, grafanaBinary, startDashboards } from './start-dashboards.ts'

/*
 * Two teams and one Grafana (N13). Whoever looks at dashboards can send any SQL, so each team has its own organization there,
 * its own data source and its own database user.
 */

const scripts = 'select script from report.script_results'

interface Side {
  teamId: string
  headers: Record<Role, Record<string, string>>
  tokenIds: Record<Role, string>
}

async function addPeople(lab: DashboardLab, name: string, teamId: string): Promise<Side> {
  const side: Side = { teamId, headers: { viewer: {}, tester: {}, admin: {} }, tokenIds: { viewer: '', tester: '', admin: '' } }
  for (const role of ['viewer', 'tester', 'admin'] as const) {
    const token = await lab.createToken(`${role} of ${name}`, role, teamId)
    side.headers[role] = bearer(token.secret)
    side.tokenIds[role] = token.id
  }
  return side
}

/** The default team, a second one, a run of each, and an organization for the second. */
async function startTwoTeams(t: TestContext): Promise<{ lab: DashboardLab; a: Side; b: Side }> {
  const lab = await startDashboards(t)
  const teamB = await lab.addTeam('Team B')
  await addRun(lab.database.db, { name: 'ours.py' })
  await addRun(lab.database.db, { name: 'theirs.py', teamId: teamB })
  await lab.converge()
  assert.deepEqual(lab.logged, [])
  return { lab, a: await addPeople(lab, 'A', defaultTeamId), b: await addPeople(lab, 'B', teamB) }
}

interface GrafanaUser {
  login: string
  orgId: number
  isGrafanaAdmin: boolean
}

async function getJson<Answer>(lab: DashboardLab, path: string, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(`${lab.url}/grafana${path}`, { headers })
  assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`)
  return (await response.json()) as Answer
}

test('N13: each team has its own organization, role by rights, and sees its own rows only', async (t) => {
  const { lab, a, b } = await startTwoTeams(t)
  for (const [side, number, mine] of [
    [a, 1, 'ours.py'],
    [b, 2, 'theirs.py'],
  ] as const) {
    for (const [role, theirs] of [
      ['viewer', 'Viewer'],
      ['tester', 'Editor'],
      ['admin', 'Admin'],
    ] as const) {
      const headers = side.headers[role]
      const user = await getJson<GrafanaUser>(lab, '/api/user', headers)
      assert.deepEqual([user.orgId, user.isGrafanaAdmin], [number, false])
      const orgs = await getJson<{ orgId: number; role: string }[]>(lab, '/api/user/orgs', headers)
      assert.deepEqual(
        orgs.map((org) => [org.orgId, org.role]),
        [[number, theirs]],
      )
      assert.deepEqual(firstColumn(await query(lab, scripts, headers)), [mine])
    }
  }
  // The users of the database differ, and so do their passwords.
  const roles = await sql<{ role_name: string; team_id: string }>`select role_name, team_id from report.readers`.execute(
    lab.database.db.kysely,
  )
  assert.deepEqual(new Set(roles.rows.map((row) => row.team_id)), new Set([a.teamId, b.teamId]))
  for (const [side, role] of [
    [a, roles.rows.find((row) => row.team_id === a.teamId)],
    [b, roles.rows.find((row) => row.team_id === b.teamId)],
  ] as const)
    assert.deepEqual(firstColumn(await query(lab, 'select session_user::text', side.headers.viewer)), [role?.role_name])
})

test('N13, G1: a second team finds the same dashboards, and every panel is answered', async (t) => {
  const { lab, b } = await startTwoTeams(t)
  const cookie = await signIn(lab, b.headers.viewer.authorization?.slice(7) ?? '')
  for (const [file, dashboard] of Object.entries(dashboards)) {
    const stored = await getJson<{ dashboard: { title: string } }>(lab, `/api/dashboards/uid/${dashboard.uid}`, { cookie })
    assert.equal(stored.dashboard.title, dashboard.title, file)
    for (const panel of dashboard.panels)
      for (const target of panel.targets) {
        const answer = await query(lab, putVariables(target.rawSql, dashboard.templating.list), { cookie })
        assert.equal(answer.status, 200, `${panel.title}: ${JSON.stringify(answer.body)}`)
      }
  }
  // What the server would write over is not for testers to edit.
  const folder = await getJson<{ permissions?: { role: string; permission: number }[] }>(
    lab,
    '/api/folders/runs',
    b.headers.admin,
  )
  if (!grafanaBinary) assert.deepEqual(new Set(folder.permissions?.map((one) => one.permission)), new Set([1]))
})

const switches: [name: string, search: string, headers: Record<string, string>][] = [
  ['nothing said', '', {}],
  ['?orgId=', '&orgId=1', {}],
  ['?targetOrgId=', '&targetOrgId=1', {}],
  ['?orgId= twice', '&orgId=2&orgId=1', {}],
  ['escaped', '&org%49d=1', {}],
  ['X-Grafana-Org-Id', '', { 'X-Grafana-Org-Id': '1' }],
  ['x_grafana_org_id', '', { X_Grafana_Org_Id: '1' }],
  ['all of them', '&orgId=1&targetOrgId=1', { 'X-Grafana-Org-Id': '1' }],
]

test('T27, N13: no switch of the organization shows a person of one team the rows of another', async (t) => {
  const { lab, a, b } = await startTwoTeams(t)
  for (const role of ['viewer', 'tester', 'admin'] as const) {
    for (const headers of [b.headers[role], { cookie: await signIn(lab, b.headers[role].authorization?.slice(7) ?? '') }]) {
      const switched = await fetch(`${lab.url}/grafana/api/user/using/1`, { method: 'POST', headers })
      assert.ok(switched.status >= 400, `using: ${switched.status}`)
      for (const [name, search, more] of switches) {
        const answer = await query(lab, scripts, { ...headers, ...more }, { search })
        assert.ok(!JSON.stringify(answer.body).includes('ours.py'), `${role}, ${name}: ${JSON.stringify(answer.body)}`)
        if (search === '') assert.deepEqual(firstColumn(answer), ['theirs.py'], name)
        else assert.ok(answer.status === 403 || answer.status === 404, `${name}: ${answer.status}`)
      }
    }
  }
  // A switch that was tried leaves nothing behind.
  assert.deepEqual(firstColumn(await query(lab, scripts, b.headers.admin)), ['theirs.py'])
  assert.deepEqual(firstColumn(await query(lab, scripts, a.headers.viewer)), ['ours.py'])
})

test('T27, N13: with the token of one team, no path below /grafana shows anything of the other', async (t) => {
  const { lab, a, b } = await startTwoTeams(t)
  for (const side of [a, b]) for (const role of ['viewer', 'admin'] as const) await getJson(lab, '/api/user', side.headers[role])
  const nameOfA = (await getJson<GrafanaUser>(lab, '/api/user', a.headers.admin)).login
  const paths = [
    '/',
    '/?orgId=1',
    '/d/script-results/script-results?orgId=1',
    '/d-solo/script-results/x?orgId=1&panelId=1',
    '/api/org',
    '/api/org/users',
    '/api/orgs',
    '/api/orgs/1',
    '/api/orgs/name/Main%20Org.',
    '/api/orgs/1/users',
    '/api/users',
    '/api/users/1',
    `/api/users/lookup?loginOrEmail=${encodeURIComponent(nameOfA)}`,
    '/api/user/orgs',
    '/api/admin/settings',
    '/api/admin/users/1',
    '/api/datasources',
    '/api/datasources/uid/vpt-report',
    '/api/datasources/uid/vpt-report?targetOrgId=1',
    '/api/datasources/1',
    '/api/datasources/proxy/uid/vpt-report/',
    '/api/search?orgId=1',
    '/api/search?targetOrgId=1',
    '/api/snapshots/x',
    '/api/dashboards/home',
    '/api/dashboards/uid/script-results?orgId=1',
    '/apis/dashboard.grafana.app/v1beta1/namespaces/default/dashboards',
    '/apis/dashboard.grafana.app/v1beta1/namespaces/org-1/dashboards',
    '/metrics',
    '/render/d-solo/script-results/x?orgId=1',
    '/public-dashboards/x',
  ]
  const secrets = [nameOfA, 'of_A', 'viewer of A', 'ours.py', 'Main Org.', 'vpt_report_']
  for (const role of ['viewer', 'admin'] as const)
    for (const path of paths) {
      const response = await fetch(`${lab.url}/grafana${path}`, {
        headers: { ...b.headers[role], 'X-Grafana-Org-Id': '1' },
        redirect: 'manual',
      })
      const text = await response.text()
      const own = path.startsWith('/api/datasources') && role === 'admin' ? ['vpt_report_'] : []
      for (const secret of secrets.filter((one) => !own.includes(one)))
        assert.ok(!text.includes(secret), `${role} ${path}: ${secret} in ${response.status} ${text.slice(0, 300)}`)
    }
  // Writing: a data source with the uid of the other team's, an organization of one's own, a user of the other team.
  const post = (path: string, body: unknown, headers = b.headers.admin): Promise<Response> =>
    fetch(`${lab.url}/grafana${path}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'X-Grafana-Org-Id': '1' },
      body: JSON.stringify(body),
    })
  assert.ok((await post('/api/orgs', { name: 'Mine' })).status >= 400)
  assert.ok((await post('/api/orgs/1/users', { loginOrEmail: nameOfA, role: 'Admin' })).status >= 400)
  assert.deepEqual(firstColumn(await query(lab, scripts, a.headers.viewer)), ['ours.py'])
})

test('N13: an administrator of one team cannot let a person of another in', async (t) => {
  const { lab, a, b } = await startTwoTeams(t)
  const guest = (await getJson<GrafanaUser>(lab, '/api/user', b.headers.viewer)).login
  const response = await fetch(`${lab.url}/grafana/api/org/users`, {
    method: 'POST',
    headers: { ...a.headers.admin, 'content-type': 'application/json' },
    body: JSON.stringify({ loginOrEmail: guest, role: 'Admin' }),
  })
  await response.text()
  // Whatever Grafana said: at the next request he is in his own organization and in no other.
  assert.deepEqual(firstColumn(await query(lab, scripts, b.headers.viewer)), ['theirs.py'])
  const orgs = await getJson<{ orgId: number; role: string }[]>(lab, '/api/user/orgs', b.headers.viewer)
  assert.deepEqual(
    orgs.map((org) => [org.orgId, org.role]),
    [[2, 'Viewer']],
  )
})

test('N13: a new team is told that its dashboards are being prepared, and has them within seconds', async (t) => {
  const lab = await startDashboards(t)
  const teamId = await lab.addTeam('Newcomers')
  await addRun(lab.database.db, { name: 'first.py', teamId })
  await addRun(lab.database.db, { name: 'ours.py' })
  const headers = bearer((await lab.createToken('eve', 'viewer', teamId)).secret)
  const early = await fetch(`${lab.url}/grafana/`, { headers: { ...headers, accept: 'text/html' } })
  const page = await early.text()
  assert.equal(early.status, 503)
  assert.match(page, /The dashboards of your team are being prepared\./)
  assert.match(page, /http-equiv="refresh"/)
  // The question itself woke the job.
  await until('her dashboards', async () => (await fetch(`${lab.url}/grafana/api/user`, { headers })).status === 200)
  assert.deepEqual(firstColumn(await query(lab, scripts, headers)), ['first.py'])
})

test('N13: a token that is revoked or has another role loses its organization or its rights', async (t) => {
  const { lab, b } = await startTwoTeams(t)
  const rolesNow = async (): Promise<string[]> =>
    (await getJson<{ role: string }[]>(lab, '/api/user/orgs', b.headers.admin)).map((org) => org.role)
  assert.deepEqual(await rolesNow(), ['Admin'])
  await sql`update api_tokens set role = 'viewer' where id = ${b.tokenIds.admin}`.execute(lab.database.db.kysely)
  assert.deepEqual(await rolesNow(), ['Viewer'])
  await sql`update api_tokens set revoked_at = now() where id = ${b.tokenIds.admin}`.execute(lab.database.db.kysely)
  assert.equal((await fetch(`${lab.url}/grafana/api/user`, { headers: b.headers.admin })).status, 401)
})

test('G1, N13: a Grafana that has lost its folder gives every team its own number again', async (t) => {
  const { lab, a, b } = await startTwoTeams(t)
  const teamC = await lab.addTeam('Team C')
  await addRun(lab.database.db, { name: 'third.py', teamId: teamC })
  const c = await addPeople(lab, 'C', teamC)
  await lab.converge()
  assert.equal((await getJson<GrafanaUser>(lab, '/api/user', c.headers.viewer)).orgId, 3)
  // One of them goes; its number is nobody's from now on.
  await sql`delete from report.readers where team_id = ${b.teamId}`.execute(lab.database.db.kysely)
  await sql`delete from runs where team_id = ${b.teamId}`.execute(lab.database.db.kysely)
  await sql`delete from teams where id = ${b.teamId}`.execute(lab.database.db.kysely)
  await lab.startGrafana({ isForgetful: true })
  const early = await query(lab, scripts, c.headers.viewer)
  assert.notEqual(early.status, 200)
  assert.ok(!JSON.stringify(early.body).includes('.py'))
  await lab.converge()
  assert.deepEqual(firstColumn(await query(lab, scripts, c.headers.viewer)), ['third.py'])
  assert.deepEqual(firstColumn(await query(lab, scripts, a.headers.viewer)), ['ours.py'])
  assert.equal((await getJson<GrafanaUser>(lab, '/api/user', c.headers.viewer)).orgId, 3)
  assert.equal((await fetch(`${lab.url}/grafana/api/user`, { headers: b.headers.viewer })).status, 401)
  // A restart that forgets nothing needs nothing.
  await lab.startGrafana({ isForgetful: false })
  assert.deepEqual(firstColumn(await query(lab, scripts, c.headers.viewer)), ['third.py'])
  await lab.converge()
  assert.deepEqual(lab.logged, [])
})

test('N13: what is missing in an organization is made again, and a Grafana that is down is told once', async (t) => {
  const { lab, b } = await startTwoTeams(t)
  await lab.stopGrafana()
  for (let round = 0; round < 3; round += 1) await lab.converge()
  assert.equal(lab.logged.length, 1)
  assert.match(lab.logged[0] ?? '', /organizations of dashboards are not complete/)
  const teamC = await lab.addTeam('Team C')
  await lab.startGrafana({ isForgetful: true })
  await Promise.all([lab.converge(), lab.converge()].map((round) => round.catch(() => {})))
  await lab.converge()
  assert.deepEqual(firstColumn(await query(lab, scripts, b.headers.viewer)), ['theirs.py'])
  const c = bearer((await lab.createToken('c', 'viewer', teamC)).secret)
  assert.deepEqual(firstColumn(await query(lab, 'select count(*)::int from report.script_results', c)), [0])
})
