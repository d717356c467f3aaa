import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { startLab } from '../../../test/start-lab.ts'

test('beats that are written together do not share their failures, and each gets its own answer', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const names = Array.from({ length: 40 }, (_, index) => `lab-${index}`)
  for (const name of names)
    await lab.post('/server/system/register', {
      host_name: name,
      host_url: 'http://127.0.0.1:1',
      devices: [{ device_id: 'device1' }],
    })
  const beat = (body: Record<string, unknown>) => lab.post('/server/system/ping', body)
  const answers = await Promise.all([
    ...names.map((name, index) => beat({ host_name: name, system_stats: { cpu_percent: index } })),
    // A value that PostgreSQL refuses, an unknown host, and hosts that beat twice at the same time.
    beat({ host_name: 'lab-1', system_stats: { text: 'a\u0000b' } }),
    beat({ host_name: 'stranger' }),
    ...names.slice(0, 10).map((name) => beat({ host_name: name, system_stats: { memory_percent: 5 } })),
  ])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [...names.map(() => 200), 400, 404, ...names.slice(0, 10).map(() => 200)],
  )
  const { hosts } = (
    await lab.get<{ hosts: { host_name: string; system_stats: Record<string, unknown> }[] }>(
      '/server/system/getAllHosts?include_system_stats=true',
    )
  ).body
  for (const [index, name] of names.entries()) {
    const stats = hosts.find((host) => host.host_name === name)?.system_stats
    assert.deepEqual(stats, { cpu_percent: index, ...(index < 10 && { memory_percent: 5 }) }, name)
  }
})

test('registrations of one new name at the same moment make one host', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const register = (index: number) =>
    lab.post('/server/system/register', {
      host_name: 'lab-1',
      host_url: `http://127.0.0.1:${index + 1}`,
      devices: [{ device_id: `device${index + 1}` }],
    })
  const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => register(index)))
  assert.deepEqual(
    answers.map(({ status }) => status),
    Array.from({ length: 8 }, () => 200),
  )
  const { hosts } = (
    await lab.get<{ hosts: { host_url: string; devices: { device_id: string }[] }[] }>('/server/system/getAllHosts')
  ).body
  assert.equal(hosts.length, 1)
  const port = new URL(hosts[0]?.host_url ?? '').port
  assert.deepEqual(
    hosts[0]?.devices.map((device) => device.device_id),
    [`device${port}`],
    'address and devices are of the same registration',
  )
})

test('two agents of one name: the one that registered last is the host, and the other takes over once that is gone', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const register = (boot_id: string, port: number) =>
    lab.post('/server/system/register', {
      host_name: 'rack-1',
      host_url: `http://127.0.0.1:${port}`,
      devices: [{ device_id: `device${port}` }],
      agent: 'virtualpytest-host',
      ping_interval_s: 10,
      boot_id,
      call_key: `call-key-of-start-${boot_id}`,
    })
  const say = async (what: 'ping' | 'unregister', boot_id: string) => {
    const { status, body } = await lab.post(`/server/system/${what}`, { host_name: 'rack-1', boot_id })
    return [status, body.code ?? body.status]
  }
  const host = async () => {
    const { body } = await lab.get<{ hosts: { host_url: string; status: string }[] }>('/server/system/getAllHosts')
    return [body.hosts[0]?.host_url, body.hosts[0]?.status]
  }
  await register('a', 1)
  assert.deepEqual(await say('ping', 'a'), [200, 'success'])
  await register('b', 2)
  const refused = await lab.post('/server/system/ping', { host_name: 'rack-1', boot_id: 'a' })
  assert.deepEqual([refused.status, refused.body.code], [409, 'conflict'])
  assert.match(String(refused.body.error), /Another agent has registered under this name since, from 127\.0\.0\.1/)
  assert.deepEqual(await say('unregister', 'a'), [409, 'conflict'], 'its goodbye ends nothing of the other')
  assert.deepEqual(await host(), ['http://127.0.0.1:2', 'online'])

  assert.deepEqual(await say('unregister', 'b'), [200, 'success'])
  assert.deepEqual(await say('ping', 'a'), [404, 'not_registered'], 'it is to say again where it is and what it has')
  await register('a', 1)
  assert.deepEqual(await say('ping', 'a'), [200, 'success'])
  assert.deepEqual(await host(), ['http://127.0.0.1:1', 'online'])

  // A database from yesterday, or an agent that was killed: the row names a start of which nothing is heard.
  await register('b', 2)
  await sql`update hosts set last_seen_at = now() - interval '31 seconds'`.execute(lab.db.kysely)
  assert.deepEqual(await say('ping', 'a'), [404, 'not_registered'])
  assert.deepEqual(await say('ping', 'b'), [200, 'success'], 'unless it is heard first')
  assert.deepEqual(await say('ping', 'a'), [409, 'conflict'])
})
