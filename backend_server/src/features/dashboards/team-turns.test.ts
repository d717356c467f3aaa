import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LabError } from '@virtualpytest/shared'
import type { ProgramRequest } from '../../http/mounted-program/index.ts'
import { createTeamTurns, teamsAtOnce } from './team-turns.ts'

test('N14: as many teams ask at once as the connections allow, one idle connection of the default team counted', () => {
  assert.deepEqual(
    [3, 4, 5, 6, 7, 21].map((connections) => teamsAtOnce(connections)),
    [1, 1, 2, 2, 3, 10],
  )
})

test('N14: others wait in their order, nobody passes them, and a team that may ask may ask several times', async () => {
  const turns = createTeamTurns({ connections: 5 })
  const [a, b] = [await turns.enter('a'), await turns.enter('b')]
  const again = await turns.enter('a')
  const order: string[] = []
  const wait = (team: string) =>
    turns.enter(team).then((done) => {
      order.push(team)
      return done
    })
  const [c, second, d, otherC] = [wait('c'), wait('a'), wait('d'), wait('c')]
  a()
  a()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(order, [], 'a asks for something else still, and an end counts once')
  again()
  const ends = await Promise.all([c, otherC])
  assert.deepEqual(order, ['c', 'c'], 'the first, and who belongs to it')
  b()
  const secondEnd = await second
  assert.deepEqual(order, ['c', 'c', 'a'])
  secondEnd()
  const last = await d
  for (const end of [...ends, last]) end()
  const free = await Promise.all([turns.enter('x'), turns.enter('y')])
  assert.equal(free.length, 2, 'nothing is left behind')
})

test('who waits too long is told so, and leaves no place behind', async () => {
  const turns = createTeamTurns({ connections: 3, patienceMs: 20 })
  const a = await turns.enter('a')
  await assert.rejects(turns.enter('b'), (error) => (error as LabError).code === 'grafana_unavailable')
  a()
  const b = await turns.enter('b')
  b()
})

test('only what makes Grafana ask a database waits', () => {
  const { concerns } = createTeamTurns({ connections: 5 })
  const of = (url: string) => concerns({ url, isUpgrade: false, method: 'POST' } as ProgramRequest)
  for (const url of [
    '/grafana/api/ds/query?ds_type=postgres',
    '/grafana/api//ds/query',
    '/grafana/api/datasources/uid/vpt-report/health',
    '/grafana/api/datasources/proxy/uid/x/resources',
    '/grafana/apis/query.grafana.app/v0alpha1/namespaces/default/query',
    '/grafana/api/annotations?from=1',
  ])
    assert.ok(of(url), url)
  for (const url of [
    '/grafana/',
    '/grafana/d/script-results',
    '/grafana/api/search',
    '/grafana/public/build/app.js',
    '/grafana/api/health',
  ])
    assert.ok(!of(url), url)
})
