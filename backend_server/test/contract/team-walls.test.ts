import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { sql } from 'kysely'
import { type Lab, startLab, until } from '../start-lab.ts'
import { everyRoute, type Facts, sampleRequest } from './every-route.ts'
import { assertEnvelope, closeRawConnections, type RawAnswer, rawCall } from './raw-call.ts'

after(closeRawConnections)

const apiKey = 'shared-key-of-this-lab'

interface Side {
  teamId: string
  token: string
  hostKey: string
  hostName: string
}

/** Lists, and routes that name nothing of another team: they answer, but never with anything of the other team. */
const answersOwnThings = new Set([
  'hosts.getAllHosts',
  'devices.list',
  'devices.batch',
  'devices.names',
  'leases.list',
  'leases.readSettings',
  'leases.writeSettings',
  'device-holders.holders',
  'alerts.all',
  'alerts.active',
  'alerts.closed',
  'alerts.deleteAll',
  'runs.list',
  'runs.scriptResults',
  'runs.executionResults',
  'scripts.list',
  'scripts.analyze',
  'tokens.list',
  'tokens.create',
  'teams.list',
  'control.lockedDevices',
  // A session of one's own; what it may see is decided at each request below /grafana.
  'dashboards.openSession',
  'sign-in.open',
  'health.system',
  'references.list',
  'references.read',
  // Hosts repeat nothing, so what is not theirs is answered like what is unknown.
  'web.taskComplete',
])
/** A host of another team is one that does not exist, which the protocol answers with 400 where a call goes to a host. */
const goesToHost = /^(remote|av|power|web|desktop|monitoring|action|verification|builder|references)\./
/** Answers of the protocol that are no failures: nothing is locked, nothing is released. */
const saysNothing = new Map([
  ['control.checkLock', '"is_locked":false'],
  ['control.releaseControl', '"host_notification":"host_not_found"'],
])
/** Refused for other reasons than the team: names of hosts are unique on a server, and `rooms=none` is no room. */
const otherRefusals = new Map([
  ['hosts.addHost', 409],
  ['events.stream', 400],
])

async function addSide(lab: Lab, name: string): Promise<Side> {
  const { teamId, token } = await lab.addTeam(name)
  const hostName = `host-of-${name}`
  const { key } = (await lab.post<{ key: string }>('/server/hosts', { host_name: hostName }, { token })).body
  await lab.addHost({
    name: hostName,
    devices: 2,
    apiKey: key,
    // No beats of its own: nothing of a team may move while the other one knocks.
    beatMs: 60_000,
    scripts: [`only-${name}.ts`],
    runMs: (order) => (order.parameters.includes('--long') ? 600_000 : 1),
  })
  return { teamId, token, hostKey: key, hostName }
}

/** One thing of every kind: an ended run with report and log, an open run, a held lease, a flag, a token. */
async function furnish(lab: Lab, side: Side, name: string): Promise<Facts & { openRunId: string; openToken: number }> {
  const { token, hostName } = side
  const execute = async (parameters: string) => {
    const answer = await lab.post(
      '/server/script/execute',
      { host_name: hostName, device_id: 'device1', script_name: `only-${name}.ts`, parameters },
      { token },
    )
    assert.equal(answer.status, 202, answer.text)
    return String(answer.body.run_id)
  }
  const runId = await execute('')
  await until('the report is written', async () => (await lab.get(`/server/runs/${runId}/report`, { token })).status === 200)
  const { artifacts } = (await lab.get<{ artifacts: { id: string }[] }>(`/server/runs/${runId}`, { token })).body
  const openRunId = await execute('--long')
  await until(
    'the second run goes on',
    async () =>
      (await lab.get<{ run: { status: string } }>(`/server/runs/${openRunId}`, { token })).body.run.status === 'running',
  )
  const taken = await lab.post<{ leases: { lease_id: string }[] }>(
    '/server/control/takeControl',
    { host_name: hostName, device_id: 'device2' },
    { token },
  )
  const target = { host_name: hostName, device_id: 'device2' }
  const batch = await lab.post('/server/action/executeBatch', { ...target, actions: [{ command: 'press_key' }] }, { token })
  assert.equal(batch.status, 200, batch.text)
  const path = `/server/action/execution/${String(batch.body.execution_id)}/status`
  await until('the batch has ended', async () => (await lab.get(path, { token })).body.status === 'completed')
  const reference = await lab.post(
    '/server/verification/image/saveImage',
    {
      ...target,
      image_source_url: '/host/stream/capture1/captures/a.jpg',
      reference_name: `reference-of-${name}`,
      userinterface_name: 'tv',
    },
    { token },
  )
  assert.equal(reference.status, 200, reference.text)
  const asker = await lab.addToken(`asker-of-${name}`, 'tester', side.teamId)
  const asked = await lab.post<{ ask: { id: string } }>(`/server/devices/${hostName}/device2/ask`, {}, { token: asker.token })
  // Nothing of a team may move by itself while the other one knocks.
  await sql`update leases set expires_at = now() + interval '1 hour' where team_id = ${side.teamId} and status = 'waiting'`.execute(
    lab.db.kysely,
  )
  await sql`update lease_asks set answer_by = now() + interval '1 hour' where team_id = ${side.teamId}`.execute(lab.db.kysely)
  const alertId = randomUUID()
  const report = {
    id: alertId,
    device_id: 'device2',
    type: 'blackscreen',
    status: 'active',
    consecutive_count: 10,
    started_at: new Date().toISOString(),
    ended_at: null,
    evidence: { note: `alert-of-${name}` },
  }
  await lab.post('/server/alerts/report', { host_name: hostName, alerts: [report] }, { headers: { 'x-api-key': side.hostKey } })
  await lab.call('PUT', `/server/device-flags/${hostName}/device2`, { body: { flags: [`flag-of-${name}`] }, token })
  const created = await lab.post<{ details: { id: string } }>('/server/tokens', { name: `token-of-${name}` }, { token })
  const row = await sql<{ lease_token: number }>`select lease_token from runs where id = ${openRunId}`.execute(lab.db.kysely)
  const openToken = row.rows[0]?.lease_token ?? 0
  return {
    hostName,
    deviceId: 'device2',
    runId,
    artifactId: artifacts[0]?.id ?? '',
    tokenId: created.body.details.id,
    executionId: String(batch.body.execution_id),
    referenceId: String(reference.body.reference_id),
    leaseId: taken.body.leases[0]?.lease_id ?? '',
    askId: asked.body.ask.id,
    alertId,
    leaseToken: openToken,
    openRunId,
    openToken,
  }
}

/** Every row of a team, in every table that has one. */
async function rowsOfTeam(lab: Lab, teamId: string): Promise<Record<string, unknown>> {
  const tables = await sql<{ name: string }>`
    select table_name as name from information_schema.columns
     where table_schema = 'virtualpytest' and column_name = 'team_id' order by 1`.execute(lab.db.kysely)
  const found: Record<string, unknown> = {}
  for (const { name } of tables.rows) {
    const rows = await sql<{
      row: unknown
    }>`select to_jsonb(t) as row from ${sql.table(name)} t where team_id = ${teamId} order by 1`.execute(lab.db.kysely)
    found[name] = rows.rows.map(({ row }) => row)
  }
  for (const [name, key] of [
    ['device_flags', 'device_id'],
    ['device_status_history', 'device_id'],
    ['device_health_history', 'device_id'],
    ['run_steps', 'run_id'],
    ['run_log_chunks', 'run_id'],
    ['batches', 'run_id'],
  ] as const) {
    const owner = sql.table(key === 'run_id' ? 'runs' : 'devices')
    const rows = await sql<{ row: unknown }>`
      select to_jsonb(t) as row from ${sql.table(name)} t join ${owner} o on o.id = t.${sql.ref(key)} where o.team_id = ${teamId} order by 1`.execute(
      lab.db.kysely,
    )
    found[name] = rows.rows.map(({ row }) => row)
  }
  const team = await sql<{ row: unknown }>`select to_jsonb(t) as row from teams t where id = ${teamId}`.execute(lab.db.kysely)
  return { ...found, teams: team.rows.map(({ row }) => row) }
}

test('N13, T27: nothing of one team can be read or changed with the token or the host key of another, over the whole contract', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { AUTH_MODE: 'required', HOST_REGISTRATION: 'key', API_KEY: apiKey } })
  const a = await addSide(lab, 'team-a')
  const b = await addSide(lab, 'team-b')
  const factsOfA = await furnish(lab, a, 'team-a')
  const secretsOfA = [
    a.teamId,
    a.hostName,
    'team-a',
    ...Object.values(factsOfA).filter((fact): fact is string => typeof fact === 'string' && fact.length > 10),
  ]
  const factsOfB = await furnish(lab, b, 'team-b')
  const before = await rowsOfTeam(lab, a.teamId)
  assert.ok(
    [
      'hosts',
      'devices',
      'leases',
      'runs',
      'artifacts',
      'api_tokens',
      'events',
      'audit_log',
      'device_flags',
      'verification_references',
      'batches',
    ].every((name) => (before[name] as unknown[]).length > 0),
  )

  const wholeContract = everyRoute.filter(({ route }) => route.access !== 'public')
  const targets: [string, Facts][] = [
    ['an ended run', factsOfA],
    ['an open run', { ...factsOfA, runId: factsOfA.openRunId }],
  ]
  for (const named of wholeContract) {
    const { name, route } = named
    await t.test(`${route.method} ${route.path}`, async () => {
      for (const [what, facts] of targets) {
        const sample = sampleRequest(named, facts)
        const text = sample.raw ?? (sample.body && JSON.stringify(sample.body))
        const headers = {
          'content-type': 'application/json',
          ...sample.headers,
          ...(route.access === 'host' ? { 'x-api-key': b.hostKey } : { authorization: `Bearer ${b.token}` }),
        }
        const ask = (query = ''): Promise<RawAnswer> => {
          const path = query ? `${sample.path}${sample.path.includes('?') ? '&' : '?'}${query}` : sample.path
          return rawCall(lab.url, route.method, path, { headers, ...(text !== undefined && { body: text }) })
        }
        const answer = await ask()
        const shown = `${what}: ${answer.status} ${answer.text.slice(0, 400)}`
        if (answersOwnThings.has(name)) assert.ok(answer.status < 300, shown)
        else if (saysNothing.has(name)) assert.ok(answer.text.includes(saysNothing.get(name) ?? '?'), shown)
        else if (otherRefusals.has(name)) assert.equal(answer.status, otherRefusals.get(name), shown)
        else if (answer.status === 400 && goesToHost.test(name)) assert.equal(answer.body.code, 'host_not_found', shown)
        else {
          assert.ok(answer.status === 403 || answer.status === 404, shown)
          assertEnvelope(answer, name)
        }
        // Names that the question itself holds may come back in a sentence; nothing else may.
        const asked = `${sample.path} ${text ?? ''}`
        for (const secret of secretsOfA) {
          if (asked.includes(secret)) continue
          assert.ok(!answer.text.includes(secret), `${secret} in ${shown}`)
        }
        if (route.access !== 'host') assert.equal((await ask(`team_id=${a.teamId}`)).status, 403, `${what}, naming their team`)
      }
    })
  }

  await t.test('an artifact is no part of another run, also of a run of one’s own', async () => {
    const answer = await lab.get(`/server/runs/${factsOfB.runId}/artifacts/${factsOfA.artifactId}`, { token: b.token })
    assert.deepEqual([answer.status, answer.body.code], [404, 'artifact_not_found'])
    const path = `/server/runs/${factsOfB.openRunId}/artifacts/${factsOfA.artifactId}?name=stolen`
    const headers = { 'x-api-key': b.hostKey, 'x-host-name': b.hostName, 'x-lease-token': String(factsOfB.openToken) }
    const upload = await lab.call('PUT', path, { raw: 'other bytes', headers })
    assert.equal(upload.status, 409, upload.text)
  })

  await t.test('a script that only the other team has is unknown', async () => {
    const answer = await lab.post('/server/script/analyze', { script_name: 'only-team-a.ts' }, { token: b.token })
    assert.deepEqual([answer.status, answer.body.code], [404, 'script_not_found'])
    assert.equal((await lab.post('/server/script/analyze', { script_name: 'only-team-a.ts' }, { token: a.token })).status, 200)
  })

  await t.test('the host key of a team opens no route of people, nor the reverse', async () => {
    assert.equal((await lab.get('/server/runs', { headers: { 'x-api-key': a.hostKey } })).status, 401)
    assert.equal((await lab.get('/server/runs', { token: a.hostKey })).status, 401)
    assert.equal((await lab.post('/server/system/ping', { host_name: a.hostName }, { token: a.token })).status, 401)
  })

  await t.test('after all of it, every row of the first team is as it was', async () => {
    const now = await rowsOfTeam(lab, a.teamId)
    for (const [table, rows] of Object.entries(before)) assert.deepEqual(now[table], rows, table)
  })

  await t.test('and the first team still has all of it', async () => {
    const own = { token: a.token }
    assert.equal((await lab.get(`/server/runs/${factsOfA.runId}/report`, own)).status, 200)
    assert.equal((await lab.get(`/server/runs/${factsOfA.runId}/artifacts/${factsOfA.artifactId}`, own)).status, 200)
    const list = await lab.get<{ hosts: { host_name: string }[] }>('/server/system/getAllHosts', own)
    assert.deepEqual(
      list.body.hosts.map((host) => host.host_name),
      [a.hostName],
    )
  })
})
