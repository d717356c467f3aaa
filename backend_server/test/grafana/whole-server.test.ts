import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { configureGrafana } from '../../src/features/dashboards/index.ts'
import { startLab, until } from '../start-lab.ts'
import { createReportDatabase } from './reader.ts'
import { addRun } from './seed-runs.ts'
import { startGrafana } from './start-dashboards.ts'
import { freePort } from './start-proxy.ts'

test('S11, S41, N13: the whole server: a team made over the API has its dashboards within seconds, with Grafana gone the lab lives on', async (t) => {
  const database = await createReportDatabase(t)
  const port = await freePort()
  const lab = await startLab(t, {
    hosts: 0,
    databaseUrl: database.url,
    env: { AUTH_MODE: 'required', GRAFANA: 'embedded', GF_SERVER_HTTP_PORT: String(port) },
  })
  const boss = (await lab.addToken('boss', 'admin')).token
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-grafana-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const configFile = path.join(folder, 'grafana.ini')
  configureGrafana({
    secretsFolder: path.join(lab.config.dataDir, 'grafana'),
    configFile,
    dataFolder: path.join(folder, 'data'),
    provisioningFolder: path.join(folder, 'provisioning'),
    databaseUrl: database.url,
    port,
    publicUrl: lab.url,
    frameOrigins: [],
  })
  const grafana = await startGrafana(configFile, port)
  t.after(() => grafana.stop())
  assert.equal((await lab.get('/grafana/api/user', { token: boss })).status, 200)

  const made = await lab.post<{ id: string; admin_token: string }>('/server/teams', { name: 'Second' }, { token: boss })
  await addRun(database.db, { name: 'theirs.py', teamId: made.body.id })
  const began = performance.now()
  const own = { token: made.body.admin_token }
  await until('its dashboards', async () => (await lab.get('/grafana/api/user', own)).status === 200)
  t.diagnostic(`after ${Math.round(performance.now() - began)} ms`)
  const answer = await lab.post(
    '/grafana/api/ds/query',
    {
      from: '0',
      to: String(Date.now()),
      queries: [
        { refId: 'A', datasource: { uid: 'vpt-report' }, rawSql: 'select script from report.script_results', format: 'table' },
      ],
    },
    own,
  )
  assert.ok(answer.text.includes('theirs.py'), answer.text)

  await grafana.stop()
  const gone = await lab.get('/grafana/api/user', own)
  assert.deepEqual([gone.status, gone.body.code], [503, 'grafana_unavailable'])
  assert.equal((await lab.get('/health')).status, 200)
  assert.equal((await lab.get('/server/runs', own)).status, 200)
})
