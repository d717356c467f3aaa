import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeviceId, defaultTeamId, HostName, parseTeamId } from './ids.ts'

const team = '7fdeb4bb-3639-4ec3-959f-b54769a219ce'
const other = '11111111-1111-4111-8111-111111111111'

test('team_id is the first value that starts with a UUID, cut after it', () => {
  const cases: [unknown, string | undefined][] = [
    [undefined, undefined],
    [null, undefined],
    ['', undefined],
    ['nonsense', undefined],
    [7, undefined],
    [{ 0: team }, undefined],
    [[], undefined],
    [['', null, 7], undefined],
    [team, team],
    [team.toUpperCase(), team],
    [` ${team} `, team],
    [`${team}?v=17`, team],
    [`${team}/some-id/members`, team],
    [['', team], team],
    [['nonsense', `${team}/x`, other], team],
    [[team, other], team],
    [`x${team}`, undefined],
    [team.slice(0, -1), undefined],
    [team.replaceAll('-', ''), undefined],
    [`${'0'.repeat(100_000)}${team}`, undefined],
  ]
  for (const [value, expected] of cases) assert.equal(parseTeamId(value), expected, JSON.stringify(value)?.slice(0, 100))
  assert.equal(parseTeamId(defaultTeamId), defaultTeamId)
})

test('names of hosts and devices stay out of paths, and are otherwise free', () => {
  for (const name of ['lab-1', 'web host (1)', 'Büro', '設定', 'a.b_c:d@e', '..', 'x'.repeat(100)]) {
    assert.ok(HostName.safeParse(name).success, name)
    assert.ok(DeviceId.safeParse(name).success, name)
  }
  for (const name of [
    '',
    'a/b',
    'a\\b',
    'a?b',
    'a#b',
    'a%2fb',
    'a\u0000b',
    'a\nb',
    '\u202ea',
    '\ud800',
    'x'.repeat(201),
    1,
    null,
    undefined,
    ['lab-1'],
  ]) {
    assert.ok(!HostName.safeParse(name).success, JSON.stringify(name)?.slice(0, 50))
    assert.ok(!DeviceId.safeParse(name).success, JSON.stringify(name)?.slice(0, 50))
  }
})
