import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { roleRank } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Lab, startLab } from '../start-lab.ts'
import { everyRoute, type NamedRoute, nobody, sampleRequest } from './every-route.ts'
import { assertEnvelope, closeRawConnections, type RawAnswer, rawCall } from './raw-call.ts'

after(closeRawConnections)

const forPeople = everyRoute.filter(({ route }) => route.access !== 'public' && route.access !== 'host')
/** Only administrators of the default team may: these concern every team. */
const governsServer = new Set(['teams.create', 'programs.list'])
const roles = ['viewer', 'tester', 'admin'] as const

function call(lab: Lab, named: NamedRoute, headers: Record<string, string>, query = ''): Promise<RawAnswer> {
  const sample = sampleRequest(named, nobody)
  const text = sample.raw ?? (sample.body && JSON.stringify(sample.body))
  const path = query ? `${sample.path}${sample.path.includes('?') ? '&' : '?'}${query}` : sample.path
  return rawCall(lab.url, named.route.method, path, {
    headers: { 'content-type': 'application/json', ...sample.headers, ...headers },
    ...(text !== undefined && { body: text }),
  })
}
/** The host that another route of this test makes has no URL to call. */
const isUnreachableHost = ({ status, body }: RawAnswer): boolean => status === 503 && body.code === 'host_unreachable'
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test('AUTH_MODE=required: every route but the public ones wants a token of the right role and team', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { AUTH_MODE: 'required' } })
  const { teamId, token: admin } = await lab.addTeam('team a')
  const other = await lab.addTeam('team b')
  const create = async (role: string) =>
    String((await lab.post('/server/tokens', { name: role, role }, { token: admin })).body.token)
  const tokens = { viewer: await create('viewer'), tester: await create('tester'), admin }
  const expired = await create('admin')
  const revoked = await create('admin')
  const list = await lab.get<{ tokens: { id: string; created_at: string }[] }>('/server/tokens', { token: admin })
  const [newest, second] = list.body.tokens
  await lab.call('DELETE', `/server/tokens/${newest?.id}`, { token: admin })
  await sql`update api_tokens set expires_at = now() - interval '1 second' where id = ${second?.id}`.execute(lab.db.kysely)

  const refused: [string, Record<string, string>][] = [
    ['no token', {}],
    ['an empty header', { authorization: '' }],
    ['another scheme', { authorization: 'Basic YWRtaW46YWRtaW4=' }],
    ['a bearer without a token', { authorization: 'Bearer ' }],
    ['an unknown token', bearer('vpt_unknown-unknown-unknown-unknown')],
    ['a token cut short', bearer(admin.slice(0, -1))],
    ['an expired token', bearer(expired)],
    ['a revoked token', bearer(revoked)],
    ['the token as a key', { 'x-api-key': admin }],
    ['the token twice', { authorization: `Bearer ${admin} ${admin}` }],
  ]
  assert.ok(forPeople.length > 20)
  for (const named of forPeople) {
    await t.test(`${named.route.method} ${named.route.path}`, async () => {
      for (const [what, headers] of refused) {
        const answer = await call(lab, named, headers)
        assert.equal(answer.status, 401, `${what}: ${answer.text}`)
        assert.equal(answer.body.code, 'unauthorized')
        assertEnvelope(answer, what)
      }
      assert.equal(
        (
          await rawCall(lab.url, named.route.method, `${sampleRequest(named, nobody).path}`, {
            headers: { 'content-type': 'application/json' },
            body: '{',
          })
        ).status,
        401,
        'who may not ask is not told about the body',
      )
      for (const role of roles) {
        const answer = await call(lab, named, bearer(tokens[role]))
        const allowed = roleRank[role] >= roleRank[named.route.access as 'viewer']
        if (!allowed) {
          assert.equal(answer.status, 403, `${role}: ${answer.text}`)
          assert.equal(answer.body.code, 'forbidden')
          assertEnvelope(answer, role)
        } else if (!governsServer.has(named.name)) assert.ok(![401, 403].includes(answer.status), `${role}: ${answer.text}`)
        assert.ok(answer.status < 500 || isUnreachableHost(answer), answer.text)
      }
      const foreign = await call(lab, named, bearer(other.token), `team_id=${teamId}`)
      assert.equal(foreign.status, 403, `a token of another team that names this one: ${foreign.text}`)
      assert.notEqual(
        (await call(lab, named, bearer(admin), `team_id=&team_id=${teamId}?v=17`)).body.error,
        foreign.body.error,
        'its own team may be named',
      )
    })
  }

  await t.test('public routes answer without a token, and with a bad one', async () => {
    for (const named of everyRoute.filter(({ route }) => route.access === 'public')) {
      for (const headers of [{}, bearer('vpt_nonsense')])
        assert.equal((await call(lab, named, headers as Record<string, string>)).status, 200, named.name)
    }
  })
})

test('tokens: the secret is shown once and kept as a hash only; a role reaches no further than its own', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { AUTH_MODE: 'required' } })
  const { teamId, token: admin } = await lab.addTeam('team a')
  const created = await lab.post<{ token: string; details: Record<string, unknown> }>(
    '/server/tokens',
    { name: 'ci', role: 'tester', expires_in_days: 30 },
    { token: admin },
  )
  assert.equal(created.status, 201)
  assert.match(created.body.token, /^vpt_[\w-]{43}$/)
  assert.deepEqual(
    [created.body.details.role, created.body.details.team_id, created.body.details.revoked_at],
    ['tester', teamId, null],
  )
  const days = (Date.parse(String(created.body.details.expires_at)) - Date.now()) / 86_400_000
  assert.ok(days > 29.9 && days < 30.1)
  const listed = await lab.get('/server/tokens', { token: admin })
  assert.doesNotMatch(listed.text, /vpt_|hash/)
  const stored = await sql<{ row: unknown }>`select to_jsonb(t) as row from api_tokens t`.execute(lab.db.kysely)
  assert.ok(!JSON.stringify(stored.rows).includes(created.body.token))

  assert.equal((await lab.get('/server/runs', { token: created.body.token })).status, 200)
  const id = String(created.body.details.id)
  const revoked = await lab.call<{ details: { revoked_at: string } }>('DELETE', `/server/tokens/${id}`, { token: admin })
  assert.notEqual(revoked.body.details.revoked_at, null)
  assert.equal((await lab.get('/server/runs', { token: created.body.token })).status, 401, 'at once')
  const again = await lab.call<{ details: { revoked_at: string } }>('DELETE', `/server/tokens/${id}`, { token: admin })
  assert.equal(again.body.details.revoked_at, revoked.body.details.revoked_at, 'twice changes nothing')
  assert.equal((await lab.call('DELETE', `/server/tokens/${nobody.tokenId}`, { token: admin })).status, 404)
  for (const body of [
    {},
    { name: '' },
    { name: ' ' },
    { name: 'a', role: 'root' },
    { name: 'a', expires_in_days: 0 },
    { name: 'a', expires_in_days: 1e9 },
  ]) {
    assert.equal((await lab.post('/server/tokens', body, { token: admin })).status, 400, JSON.stringify(body))
  }
  const audit = await sql<{
    action: string
    actor_kind: string
    text: string
  }>`select action, actor_kind, to_jsonb(a)::text as text from audit_log a order by id`.execute(lab.db.kysely)
  assert.deepEqual(
    audit.rows.map((row) => row.action),
    ['token.create', 'token.revoke', 'token.revoke'],
  )
  assert.ok(audit.rows.every((row) => row.actor_kind === 'token' && !row.text.includes(created.body.token)))
})

test('teams: a token sees its own team; only the default team and open labs create others', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { AUTH_MODE: 'required' } })
  const { token } = await lab.addTeam('team a')
  await lab.addTeam('team b')
  const own = await lab.get<{ name: string; is_default: boolean; member_count: number }[]>('/server/teams', { token })
  assert.deepEqual(
    own.body.map((team) => team.name),
    ['team a'],
  )
  assert.equal((await lab.post('/server/teams', { name: 'team c' }, { token })).status, 403)

  // Tokens are made inside their team, so a new team begins with one.
  const { token: admin } = await lab.addToken('server admin', 'admin')
  const made = await lab.post<{ id: string; admin_token: string }>('/server/teams', { name: 'team d' }, { token: admin })
  assert.equal(made.status, 201, made.text)
  const inside = await lab.get<{ hosts: unknown[] }>('/server/system/getAllHosts', { token: made.body.admin_token })
  assert.deepEqual([inside.status, inside.body.hosts], [200, []])

  const open = await startLab(t, { hosts: 0 })
  const created = await open.post<Record<string, unknown>>('/server/teams', { name: 'Quality', description: 'boxes' })
  assert.equal(created.status, 201)
  assert.equal(created.body.admin_token, null)
  assert.deepEqual(Object.keys(created.body).sort(), [
    'admin_token',
    'created_at',
    'created_by',
    'description',
    'id',
    'is_default',
    'member_count',
    'name',
    'tenant_id',
    'updated_at',
  ])
  const conflict = await open.post('/server/teams', { name: 'quality' })
  assert.deepEqual([conflict.status, conflict.body.code], [409, 'conflict'])
  const all = await open.get<{ name: string; is_default: boolean }[]>('/server/teams')
  assert.deepEqual(
    all.body.map((team) => team.is_default),
    [true, false],
    'oldest first',
  )
})

test('AUTH_MODE=open: no token is needed, a bearer of another sign-in is not ours to judge, ours is judged', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const get = (token: string) => lab.get('/server/runs', { token })
  assert.equal((await lab.get('/server/runs')).status, 200)
  assert.equal((await get('eyJhbGciOiJIUzI1NiJ9.e30.signature')).status, 200)
  assert.equal((await get('vpt_of-nobody')).status, 401)
  const { token, teamId } = await lab.addTeam('team a', 'viewer')
  assert.equal((await get(token)).status, 200)
  assert.equal(
    (await lab.post('/server/tokens', { name: 'more' }, { token })).status,
    403,
    'who sends a token is held to its role',
  )
  assert.equal((await lab.get(`/server/runs?team_id=${teamId}`)).status, 200)
})
