import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTeamId, LabError } from '@virtualpytest/shared'
import type { Caller } from '../../http/caller.ts'
import type { ProgramRequest } from '../../http/mounted-program/index.ts'
import { type FoundToken, hashSecret } from '../../http/resolve-caller.ts'
import { cookieHeader, sessionCookie } from './session-cookie.ts'
import { createSignOn, type TeamsOfGrafana } from './sign-on.ts'
import { signOnKeyOf } from './sign-on-key.ts'

const secret = 'vpt_secret'
const token: FoundToken = { id: '12345678-0000-4000-8000-000000000000', team_id: defaultTeamId, name: 'ann', role: 'tester' }
const caller: Caller = {
  kind: 'token',
  teamId: defaultTeamId,
  role: 'tester',
  tokenId: token.id,
  name: 'ann',
  ip: '127.0.0.1',
  hostName: null,
  hostKeyProven: false,
}

function start(teams?: TeamsOfGrafana) {
  const state = { now: 1_000_000, token: token as FoundToken | undefined, asked: 0 }
  const signOn = createSignOn({
    authMode: 'required',
    resolveCaller: () => Promise.reject(new LabError('unauthorized')),
    findToken: (hash) => {
      state.asked += 1
      return Promise.resolve(hash === hashSecret(secret) ? state.token : undefined)
    },
    sessionKey: 'k'.repeat(64),
    teams,
    publicUrl: () => 'https://lab.example.org',
    now: () => state.now,
  })
  const session = signOn.openSession(caller, `Bearer ${secret}`)
  const ask = (headers: Record<string, string> = {}, rest: Partial<ProgramRequest> = {}): Promise<Record<string, string>> =>
    signOn.authorize({
      method: 'GET',
      url: '/grafana/',
      headers: { cookie: `a=1; ${sessionCookie}=${session?.value}; b=2`, ...headers },
      ip: '127.0.0.1',
      via: ['127.0.0.1'],
      host: 'lab.example.org',
      protocol: 'https',
      isUpgrade: false,
      ...rest,
    })
  return { state, ask }
}

const refused = (code: string) => (error: unknown) => error instanceof LabError && error.code === code

test('S26: a session is known for ten seconds, then the database is asked again', async () => {
  const { state, ask } = start()
  for (let round = 0; round < 100; round += 1) await ask()
  assert.equal(state.asked, 1)
  state.token = undefined
  state.now += 9999
  assert.equal((await ask())['x-webauth-role'], 'Editor')
  state.now += 2
  await assert.rejects(ask(), refused('unauthorized'))
  state.token = { ...token, role: 'viewer' }
  state.now += 10_001
  assert.deepEqual(await ask(), { 'x-webauth-user': 'ann.12345678', 'x-webauth-name': 'ann', 'x-webauth-role': 'Viewer' })
})

test('S26: a session ends after a working day, whatever its token', async () => {
  const { state, ask } = start()
  state.now += 12 * 3_600_000 - 1
  await ask()
  state.now += 1
  await assert.rejects(ask(), refused('unauthorized'))
})

test('S26, W4: a cookie counts for pages of this server only', async () => {
  const { ask } = start()
  await ask({ origin: 'https://evil.example.org' })
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
    await ask({ origin: 'https://lab.example.org' }, { method })
    await assert.rejects(ask({ origin: 'https://evil.example.org' }, { method }), refused('forbidden'))
    await assert.rejects(ask({ origin: 'null' }, { method }), refused('forbidden'))
  }
  await assert.rejects(ask({ origin: 'https://evil.example.org' }, { isUpgrade: true }), refused('forbidden'))
  // Behind a proxy that hides the public name, the configured address counts.
  await ask({ origin: 'https://lab.example.org' }, { method: 'POST', host: '10.0.0.1:10000' })
})

test('N13: a Grafana that knows one organization is closed to other teams', async () => {
  const { state, ask } = start()
  state.token = { ...token, team_id: '00000000-0000-4000-8000-000000000001' }
  await assert.rejects(ask(), refused('forbidden'))
})

test('G8: the cookie goes to other sites only where browsers allow that', () => {
  assert.match(cookieHeader('x', { isSecure: true, isCrossSite: true }), /SameSite=None; Secure$/)
  assert.match(cookieHeader('x', { isSecure: true, isCrossSite: false }), /SameSite=Lax; Secure$/)
  assert.match(cookieHeader('x', { isSecure: false, isCrossSite: true }), /SameSite=Lax$/)
})

test('N13, G6: an identity is signed, for one organization, and says the role of the rights at this moment', async () => {
  const key = signOnKeyOf('s'.repeat(64))
  const teamB = '00000000-0000-4000-8000-000000000002'
  const { state, ask } = start({
    key,
    organizationOf: (teamId) => (teamId === defaultTeamId ? 1 : teamId === teamB ? 7 : undefined),
  })
  const claimsOf = (headers: Record<string, string>): Record<string, unknown> =>
    JSON.parse(Buffer.from(headers['x-jwt-assertion']?.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
  const first = await ask()
  assert.equal(first['x-grafana-org-id'], '1')
  assert.deepEqual(claimsOf(first), {
    iss: 'virtualpytest-server',
    iat: 1000,
    exp: 1060,
    sub: token.id,
    login: 'ann.12345678',
    name: 'ann',
    orgs: ['1-editor'],
  })
  state.token = { ...token, team_id: teamB, role: 'admin' }
  state.now += 10_001
  const second = await ask()
  assert.deepEqual([second['x-grafana-org-id'], claimsOf(second).orgs], ['7', ['7-admin']])
  assert.equal(claimsOf(second).role, undefined, 'nobody but this server governs Grafana')
  for (const url of ['/grafana/?orgId=1', '/grafana/x?a=1&targetOrgId=1', '/grafana/?org%49d=1', '/grafana/?orgId=7&orgId=1'])
    await assert.rejects(ask({}, { url }), refused('forbidden'), url)
  await ask({}, { url: '/grafana/?orgId=7' })
  state.token = { ...token, team_id: '00000000-0000-4000-8000-000000000003' }
  state.now += 10_001
  await assert.rejects(ask(), (error) => error instanceof LabError && /being prepared/.test(error.message))
})

test('S88: the health of Grafana is for everybody, and nothing else is', async () => {
  const { ask } = start()
  const stranger = { cookie: '' }
  assert.deepEqual(await ask(stranger, { url: '/grafana/api/health' }), {})
  for (const rest of [
    { url: '/grafana/api/health', method: 'POST' },
    { url: '/grafana/api/health', isUpgrade: true },
    { url: '/grafana/api/health/../search' },
    { url: '/grafana/api/healthy' },
    { url: '/grafana/api/health/' },
  ])
    await assert.rejects(ask(stranger, rest), refused('unauthorized'), JSON.stringify(rest))
})
