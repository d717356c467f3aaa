import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { DeviceTarget, DeviceTargetQuery } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { type Lab, startLab, until } from '../start-lab.ts'
import { everyRoute, type Facts, type NamedRoute, nobody, sampleRequest } from './every-route.ts'
import { hostileBodies, hostilePathParts, hostileQueries, hostileValues, withField } from './hostile-values.ts'
import { assertEnvelope, closeRawConnections, type RawAnswer, rawCall } from './raw-call.ts'

after(closeRawConnections)

const json = { 'content-type': 'application/json' }
/** Failures of hosts and of devices that are away; an unknown address of a host is not a failure of the server. */
const documented = new Set([502, 503, 504])

function assertHarmless(answer: RawAnswer, what: string): void {
  const shown = `${what}: ${answer.status} ${answer.text.slice(0, 300)}`
  assert.ok(answer.status < 500 || documented.has(answer.status), shown)
  assert.ok(answer.status < 300 || answer.status >= 400, `redirected: ${shown}`)
  if (answer.status >= 400) assertEnvelope(answer, what)
  assert.doesNotMatch(
    answer.text,
    /node_modules|at \w+ \(|syntax error at|virtualpytest\.|select |\/backend_server\//,
    `inner things in ${shown}`,
  )
}

async function assertHealthy(lab: Lab): Promise<void> {
  const health = await lab.get('/server/health')
  assert.deepEqual([health.status, health.body.status], [200, 'ok'])
  assert.equal(({} as Record<string, unknown>).admin, undefined, 'the prototype of all objects is clean')
  const { hosts } = (await lab.get<{ hosts: { host_name: string }[] }>('/server/system/getAllHosts')).body
  assert.ok(hosts.some((host) => host.host_name === 'lab-1'))
}

/** A lab whose device runs a script that does not end, so that what is sent about it meets something. */
async function startBusyLab(t: TestContext, env: Record<string, string> = {}): Promise<{ lab: Lab; facts: Facts }> {
  const lab = await startLab(t, { env, timings: { sweepMs: 3000 }, host: { devices: 2, runMs: () => 600_000 } })
  const answer = await lab.post('/server/script/execute', { host_name: 'lab-1', device_id: 'device1', script_name: 'zapping.ts' })
  const runId = String(answer.body.run_id)
  await until(
    'the run goes on',
    async () => (await lab.get<{ run: { status: string } }>(`/server/runs/${runId}`)).body.run.status === 'running',
  )
  const rows = await sql<{ lease_token: number }>`select lease_token from runs where id = ${runId}`.execute(lab.db.kysely)
  return { lab, facts: { ...nobody, hostName: 'lab-1', deviceId: 'device2', runId, leaseToken: rows.rows[0]?.lease_token ?? 0 } }
}

/** Hosts say things of another host, so that the one of the lab keeps its devices. */
const factsFor = ({ name }: NamedRoute, facts: Facts): Facts =>
  name.startsWith('hosts.') ? { ...facts, hostName: 'other-host' } : facts

/** Calls to devices are many and are mounted by the same code: one of them gets everything, the others what is their own. */
const isLikeOthers = ({ name, route }: NamedRoute): boolean =>
  route.query === DeviceTargetQuery && name !== 'remote.executeCommand'
const targetFields = new Set(Object.keys(DeviceTarget.shape))

/** In eights, so that the test takes seconds and the server meets them mixed. */
async function inEights(jobs: (() => Promise<void>)[]): Promise<number> {
  const queue = [...jobs]
  const work = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) await job()
  }
  await Promise.all(Array.from({ length: 8 }, work))
  return jobs.length
}

test('hostile bodies: every field of every route, with every value that programs choke on', async (t) => {
  const { lab, facts } = await startBusyLab(t)
  const jobs: (() => Promise<void>)[] = []
  const send = (named: NamedRoute, path: string, headers: Record<string, string>, body: string, what: string) => {
    jobs.push(async () =>
      assertHarmless(
        await rawCall(lab.url, named.route.method, path, { headers: { ...json, ...headers }, body }),
        `${named.name} with ${what}`,
      ),
    )
  }
  for (const named of everyRoute.filter(({ route }) => route.body !== undefined)) {
    const { path, body = {}, headers } = sampleRequest(named, factsFor(named, facts))
    for (const [what, text] of isLikeOthers(named) ? hostileBodies.slice(0, 3) : hostileBodies)
      send(named, path, headers, text, what)
    // The fields that say where a batch belongs are the same in all batches: the richest of them stands for the others.
    const isPart = isLikeOthers(named) && named.name !== 'action.executeBatch'
    const fields = [...Object.keys(body), ...(isPart ? [] : knownFields(named))]
    for (const field of new Set(fields)) {
      if (isLikeOthers(named) && targetFields.has(field)) continue
      for (const [what, value] of hostileValues) send(named, path, headers, withField(body, field, value), `${field} = ${what}`)
    }
  }
  const count = await inEights(jobs)
  assert.ok(count > 2000, `${count} requests`)
  await assertHealthy(lab)
})

test('hostile values inside devices, leases, steps, logs and results', async (t) => {
  const { lab, facts } = await startBusyLab(t)
  const inner: [string, (value: string) => string][] = [
    ['/server/system/register', (value) => `{"host_name":"inner","host_url":"http://127.0.0.1:1","devices":[${value}]}`],
    [
      '/server/system/register',
      (value) => `{"host_name":"inner","host_url":"http://127.0.0.1:1","devices":[{"device_id":${value}}]}`,
    ],
    [
      '/server/system/register',
      (value) =>
        `{"host_name":"inner","host_url":"http://127.0.0.1:1","devices":[{"device_id":"device1","device_name":${value},"device_action_types":{"remote":${value}}}]}`,
    ],
    [
      '/server/system/register',
      (value) =>
        `{"host_name":"inner","host_url":"http://127.0.0.1:1","devices":[],"scripts":[{"name":${value}}],"system_stats":{"a":${value}}}`,
    ],
    [
      '/server/system/ping',
      (value) => `{"host_name":"lab-1","leases":[{"device_id":"device1","token":${value},"run_id":${value}}]}`,
    ],
    [
      '/server/system/ping',
      (value) =>
        `{"host_name":"lab-1","per_device_metrics":[{"ffmpeg_status":${value}}],"system_stats":{"cpu_percent":${value}}}`,
    ],
    [
      `/server/runs/${facts.runId}/progress`,
      (value) =>
        `{"host_name":"lab-1","token":${facts.leaseToken},"steps":[{"position":${value},"name":"a","started_at":"2026-01-01T00:00:00Z"}]}`,
    ],
    [
      `/server/runs/${facts.runId}/progress`,
      (value) =>
        `{"host_name":"lab-1","token":${facts.leaseToken},"steps":[{"position":1,"name":${value},"started_at":"2026-01-01T00:00:00Z"}]}`,
    ],
    [
      `/server/runs/${facts.runId}/progress`,
      (value) =>
        `{"host_name":"lab-1","token":${facts.leaseToken},"steps":[{"position":2,"name":"a","started_at":"2026-01-01T00:00:00Z","message":"a","details":{"a":${value}}}]}`,
    ],
    [
      `/server/runs/${facts.runId}/progress`,
      (value) => `{"host_name":"lab-1","token":${facts.leaseToken},"log":{"from":0,"lines":[${value}]}}`,
    ],
    [
      `/server/runs/${facts.runId}/progress`,
      (value) => `{"host_name":"lab-1","token":${facts.leaseToken},"log":{"from":${value},"lines":[${value}]}}`,
    ],
    [
      '/server/script/taskComplete',
      (value) => `{"task_id":"${facts.runId}","result":{"stdout":${value},"exit_code":${value},"extra":${value}}}`,
    ],
    [
      '/server/script/taskComplete',
      (value) =>
        `{"task_id":"${facts.runId}","host_name":"lab-1","token":${facts.leaseToken},"result":{"report_url":${value},"outcome":${value}}}`,
    ],
  ]
  await inEights(
    inner.flatMap(([path, bodyWith]) =>
      hostileValues.map(([what, value]) => async () => {
        assertHarmless(await rawCall(lab.url, 'POST', path, { headers: json, body: bodyWith(value) }), `${path} with ${what}`)
      }),
    ),
  )
  // What was stored by then is listed without trouble.
  for (const path of [
    '/server/system/getAllHosts?include_actions=true&include_system_stats=true',
    '/server/script/list',
    '/server/execution-results/getAllExecutionResults',
    `/server/runs/${facts.runId}`,
    `/server/script/status/${facts.runId}`,
  ]) {
    assert.equal((await rawCall(lab.url, 'GET', path)).status, 200, path)
  }
  await assertHealthy(lab)
})

test('hostile addresses and queries, on every route', async (t) => {
  const { lab, facts } = await startBusyLab(t)
  const jobs: (() => Promise<void>)[] = []
  for (const named of everyRoute.filter((one) => !isLikeOthers(one) || one.route.params !== undefined)) {
    const sample = sampleRequest(named, factsFor(named, facts))
    const text = sample.raw ?? (sample.body && JSON.stringify(sample.body))
    const request = { headers: { ...json, ...sample.headers }, ...(text !== undefined && { body: text }) }
    const send = (path: string) =>
      jobs.push(async () =>
        assertHarmless(await rawCall(lab.url, named.route.method, path, request), `${named.route.method} ${path.slice(0, 200)}`),
      )
    // A route without query fields of its own reads the team and nothing else.
    const ownFields = Object.keys(named.route.query?.shape ?? {}).filter((field) => field !== 'team_id')
    for (const query of ownFields.length > 0 ? hostileQueries : hostileQueries.slice(0, 12))
      send(`${named.route.path.replace(/\{\w+\}/g, facts.runId)}?${query}`)
    const parameters = [...named.route.path.matchAll(/\{\w+\}/g)].map(([name]) => name)
    for (const parameter of parameters) {
      for (const part of hostilePathParts) send(named.route.path.replace(parameter, part).replace(/\{\w+\}/g, facts.runId))
    }
    for (const part of hostilePathParts.slice(0, 14)) {
      send(`${sample.path.split('?')[0]}/${part}`)
      send(`/server/${part}${named.route.path}`)
    }
  }
  const count = await inEights(jobs)
  assert.ok(count > 2000, `${count} requests`)
  await assertHealthy(lab)
})

test('hostile headers', async (t) => {
  const { lab, facts } = await startBusyLab(t, { TRUSTED_PROXIES: '2' })
  const odd = [
    '',
    ' ',
    ',',
    '\u00ff\u00fe',
    'x'.repeat(7000),
    '-1',
    '0',
    '1.5',
    '1e9',
    'NaN',
    '9007199254740993',
    '%00',
    '::1',
    '999.1.1.1',
    '[object Object]',
    "'; --",
    '{}',
  ]
  const names = [
    'authorization',
    'x-api-key',
    'x-forwarded-for',
    'x-host-name',
    'x-lease-token',
    'idempotency-key',
    'origin',
    'last-event-id',
    'x-team-id',
    'host',
    'accept',
    'accept-encoding',
    'content-type',
    'if-none-match',
    'range',
    'x-request-id',
    'cookie',
    'forwarded',
  ]
  const routes = ['hosts.getAllHosts', 'runs.execute', 'run-agent.putArtifact', 'events.stream']
  const jobs: (() => Promise<void>)[] = []
  for (const named of everyRoute.filter(({ name }) => routes.includes(name))) {
    const { path, body, raw, headers } = sampleRequest(named, factsFor(named, facts))
    const text = raw ?? (body && JSON.stringify(body))
    for (const header of names) {
      for (const value of odd) {
        jobs.push(async () =>
          assertHarmless(
            await rawCall(lab.url, named.route.method, path, {
              headers: { ...json, ...headers, [header]: value },
              ...(text !== undefined && { body: text }),
            }),
            `${named.name} with ${header}: ${value.slice(0, 20)}`,
          ),
        )
      }
    }
  }
  await inEights(jobs)
  await assertHealthy(lab)
})

/** Fields that the sample leaves out, from the schema itself. */
function knownFields({ route }: NamedRoute): string[] {
  const shape = route.body && 'shape' in route.body ? (route.body.shape as Record<string, unknown>) : {}
  return Object.keys(shape)
}
