import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { closeClient, connectClient } from '../../src/db/client.ts'
import { type GrafanaSecrets, readerPassword } from '../../src/features/dashboards/grafana-secrets.ts'
import { ensureReportRole } from '../../src/features/dashboards/report-role.ts'
import { bearer, firstColumn, query } from './dashboard-calls.ts'
import { createReportDatabase, openReader } from './reader.ts'
import { addRun } from './seed-runs.ts'
import { startDashboards } from './start-dashboards.ts'

test('B3: a new password of the database user counts at once, the old one no more, and open sessions go on', async (t) => {
  const database = await createReportDatabase(t)
  const installation = randomBytes(4).toString('hex')
  const reader = await openReader(t, database, { installation })
  const password = randomBytes(32).toString('hex')
  await ensureReportRole(database.db, { teamId: defaultTeamId, installation, password })
  const login = async (secret: string): Promise<void> => {
    const url = new URL(database.url)
    url.username = reader.role
    url.password = secret
    await closeClient(await connectClient(url.href, { connectTimeoutMs: 30_000, queryTimeoutMs: 30_000 }))
  }
  await login(password)
  await assert.rejects(
    login(reader.password),
    (error) => error instanceof Error && /password authentication failed/.test(String(error.cause)),
  )
  assert.deepEqual(await reader.query('select 1 as one'), [{ one: 1 }])
})

test('B3: new secrets and an empty Grafana folder are a rotation of everything, and both teams see their own again', async (t) => {
  const lab = await startDashboards(t)
  const teamB = await lab.addTeam('Team B')
  await addRun(lab.database.db, { name: 'ours.py' })
  await addRun(lab.database.db, { name: 'theirs.py', teamId: teamB })
  const a = bearer((await lab.createToken('a', 'viewer')).secret)
  const b = bearer((await lab.createToken('b', 'viewer', teamB)).secret)
  const scripts = 'select script from report.script_results'
  await lab.converge()
  const before = firstColumn(await query(lab, 'select session_user::text', b))
  const rotated = await lab.restartWithNewSecrets()
  await rotated.converge()
  assert.deepEqual(rotated.logged, [])
  assert.deepEqual(firstColumn(await query(rotated, scripts, a)), ['ours.py'])
  assert.deepEqual(firstColumn(await query(rotated, scripts, b)), ['theirs.py'])
  assert.notDeepEqual(firstColumn(await query(rotated, 'select session_user::text', b)), before)
})

test('N13: the password of one team tells nothing of another', () => {
  const secrets: GrafanaSecrets = {
    installation: 'aabbccdd',
    secretKey: 'a'.repeat(64),
    adminPassword: 'b'.repeat(64),
    reportPassword: 'c'.repeat(64),
    sessionKey: 'd'.repeat(64),
  }
  const teams = [defaultTeamId, '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002']
  const passwords = teams.map((teamId) => readerPassword(secrets, teamId))
  assert.equal(new Set(passwords).size, teams.length)
  for (const one of passwords) assert.match(one, /^[0-9a-f]{64}$/)
})
