import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Access, defaultTeamId, type LabError } from '@virtualpytest/shared'
import type { FastifyRequest } from 'fastify'
import { type CallerSources, createCallerResolver, hashSecret, sameSecret } from './resolve-caller.ts'

const team = '11111111-1111-4111-8111-111111111111'
const other = '22222222-2222-4222-8222-222222222222'
const tokenId = '33333333-3333-4333-8333-333333333333'
const apiKey = 'shared-key-of-this-lab'

const sources = (over: Partial<CallerSources> = {}): CallerSources => ({
  authMode: 'required',
  hostRegistration: 'key',
  apiKey,
  assertReady: () => undefined,
  findToken: (hash) =>
    Promise.resolve(hash === hashSecret('vpt_good') ? { id: tokenId, team_id: team, name: 'ci', role: 'tester' } : undefined),
  findHostByKey: (hash) => Promise.resolve(hash === hashSecret('vpth_own') ? { name: 'lab-1', team_id: team } : undefined),
  ...over,
})

type Asked = { headers?: Record<string, string>; query?: Record<string, unknown> }
const request = ({ headers = {}, query = {} }: Asked) => ({ headers, query, ip: '10.0.0.1' }) as unknown as FastifyRequest
const resolve = (access: Access, asked: Asked, over?: Partial<CallerSources>) =>
  createCallerResolver(sources(over))(request(asked), access)
const refused = (code: string) => (error: unknown) => (error as LabError).code === code
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test('people and programs: the token decides about team and role', async () => {
  const caller = await resolve('tester', { headers: bearer('vpt_good') })
  assert.deepEqual(
    [caller.kind, caller.teamId, caller.role, caller.tokenId, caller.name, caller.ip],
    ['token', team, 'tester', tokenId, 'ci', '10.0.0.1'],
  )
  assert.equal(
    (await resolve('viewer', { headers: { authorization: 'bearer vpt_good' }, query: { team_id: `${team}/x` } })).teamId,
    team,
  )
  await assert.rejects(resolve('admin', { headers: bearer('vpt_good') }), refused('forbidden'))
  await assert.rejects(resolve('viewer', { headers: bearer('vpt_good'), query: { team_id: other } }), refused('forbidden'))
  await assert.rejects(
    resolve('viewer', { headers: bearer('vpt_good'), query: { team_id: ['', other, team] } }),
    refused('forbidden'),
  )
  for (const headers of [{}, bearer('vpt_bad'), { authorization: 'Basic x' }, { authorization: 'vpt_good' }]) {
    await assert.rejects(resolve('viewer', { headers }), refused('unauthorized'))
  }
})

test('where login is off, everybody is an administrator of the team they name; a token of ours still binds', async () => {
  const open = { authMode: 'open' as const }
  const caller = await resolve('admin', { query: { team_id: other } }, open)
  assert.deepEqual([caller.kind, caller.role, caller.teamId], ['open', 'admin', other])
  assert.equal((await resolve('viewer', {}, open)).teamId, defaultTeamId)
  assert.equal((await resolve('viewer', { headers: bearer('a-token-of-another-sign-in') }, open)).kind, 'open')
  assert.equal((await resolve('viewer', { headers: bearer('vpt_good') }, open)).kind, 'token')
  await assert.rejects(resolve('viewer', { headers: bearer('vpt_bad') }, open), refused('unauthorized'))
})

test('hosts: the shared key proves a host, an own key proves which, and the team is never taken from the request', async () => {
  const key = (value: string) => ({ headers: { 'x-api-key': value }, query: { team_id: other } })
  const shared = await resolve('host', key(apiKey))
  assert.deepEqual([shared.kind, shared.hostKeyProven, shared.hostName, shared.teamId], ['host', true, null, defaultTeamId])
  const own = await resolve('host', key('vpth_own'))
  assert.deepEqual([own.hostKeyProven, own.hostName, own.teamId], [true, 'lab-1', team])
  for (const asked of [{}, key('wrong'), key(''), { headers: bearer('vpt_good') }])
    await assert.rejects(resolve('host', asked), refused('unauthorized'))
  const open = await resolve('host', key('wrong'), { hostRegistration: 'open' })
  assert.deepEqual([open.hostKeyProven, open.hostName, open.teamId], [false, null, defaultTeamId])
  await assert.rejects(resolve('host', key('undefined'), { apiKey: undefined }), refused('unauthorized'))
})

test('public routes ask nobody, also while the server is not ready', async () => {
  const notReady = {
    assertReady: () => {
      throw new Error('not ready')
    },
  }
  assert.equal((await resolve('public', { headers: bearer('vpt_bad') }, notReady)).kind, 'public')
  await assert.rejects(resolve('viewer', { headers: bearer('vpt_good') }, notReady), /not ready/)
})

test('secrets are compared by hash', () => {
  assert.ok(sameSecret('a', 'a') && sameSecret('', ''))
  assert.ok(!sameSecret('a', 'b') && !sameSecret('a', 'aa') && !sameSecret('a', ''))
  assert.match(hashSecret('x'), /^[0-9a-f]{64}$/)
})
