import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegisterHost } from '@virtualpytest/shared'
import { sql } from 'kysely'
import { startLab, until } from '../start-lab.ts'
import { assertEnvelope } from './raw-call.ts'
import { boxHost, phoneHost, phonePing, webHost } from './wire-examples.ts'

interface HostData extends Record<string, unknown> {
  devices: Record<string, unknown>[]
}
const isoWithOffset = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/
const deviceKeys = [
  'device_id',
  'device_name',
  'device_model',
  'device_ip',
  'device_port',
  'ir_type',
  'video_stream_path',
  'video_capture_path',
  'video',
  'device_capabilities',
  'device_verification_types',
  'device_action_types',
]

test('hosts.md 2: the registrations of real hosts are answered as documented', async (t) => {
  const lab = await startLab(t, { hosts: 0 })

  for (const [name, example] of Object.entries({ 'A, web host': webHost, 'B, phone': phoneHost, 'C, set-top box': boxHost })) {
    await t.test(`example ${name}`, async () => {
      const before = Date.now() / 1000
      const answer = await lab.post<Record<string, unknown> & { host_data: HostData }>('/server/system/register', example)
      assert.equal(answer.status, 200, answer.text)
      assert.deepEqual(Object.keys(answer.body).sort(), ['host_data', 'host_name', 'message', 'status'])
      assert.equal(answer.body.status, 'success')
      assert.equal(answer.body.message, 'Host registered successfully')
      assert.equal(answer.body.host_name, example.host_name)
      const host = answer.body.host_data
      assert.equal(host.host_name, example.host_name)
      assert.equal(host.host_url, example.host_url)
      assert.equal(host.host_api_url, example.host_api_url)
      assert.equal(host.host_port, 6109)
      assert.equal(host.device_count, 1)
      assert.equal(host.status, 'online')
      assert.equal(host.description, null)
      assert.ok(Number(host.last_seen) >= before - 1 && Number(host.last_seen) <= Date.now() / 1000 + 1)
      assert.match(String(host.registered_at), isoWithOffset)
      assert.ok(!('reconnected_at' in host), 'a first registration is no return')
      assert.deepEqual(host.system_stats, example.system_stats)
      assert.deepEqual([host.isLocked, host.lockedBy, host.lockedAt], [false, null, null])
      const [device] = host.devices
      const [sent] = example.devices
      assert.ok(device && sent)
      for (const key of deviceKeys) {
        const expected: unknown = (sent as Record<string, unknown>)[key] ?? null
        if (key !== 'video_stream_path') assert.deepEqual(device[key], expected, key)
      }
      assert.deepEqual([device.isLocked, device.lockedBy, device.lockedAt], [false, null, null])
      assert.doesNotMatch(answer.text, /password/)
    })
  }

  await t.test(
    'a second registration keeps the first time, says when the host came back, and replaces what was sent',
    async () => {
      const first = await lab.post<{ host_data: HostData }>('/server/system/register', { ...phoneHost, host_name: 'returns' })
      const devices = [{ device_id: 'device2', device_name: 'Phone-B', device_model: 'android_mobile' }]
      const second = await lab.post<{ host_data: HostData }>('/server/system/register', {
        ...phoneHost,
        host_name: 'returns',
        host_port: '7000',
        devices,
      })
      assert.equal(second.body.host_data.registered_at, first.body.host_data.registered_at)
      assert.match(String(second.body.host_data.reconnected_at), isoWithOffset)
      assert.equal(second.body.host_data.host_port, 7000)
      assert.deepEqual(
        second.body.host_data.devices.map((device) => device.device_id),
        ['device2'],
      )
      assert.equal(second.body.host_data.device_count, 1)
      // A device of few words still has all keys that clients walk through.
      const [device] = second.body.host_data.devices
      assert.deepEqual(
        [device?.device_action_types, device?.device_verification_types, device?.device_capabilities, device?.video],
        [{}, {}, {}, null],
      )
    },
  )

  await t.test(
    'what is missing is named in one sentence with status 400; a host gives up on it until its next ping',
    async () => {
      const cases: [Record<string, unknown>, string][] = [
        [{ host_name: 'lab-1' }, 'Missing required fields: host_url, devices'],
        [{}, 'Missing required fields: host_name, host_url, devices'],
        [{ host_name: 'lab-1', host_url: 'http://lab' }, 'Missing required fields: devices'],
        [{ host_url: 'http://lab', devices: [] }, 'Missing required fields: host_name'],
      ]
      for (const [body, text] of cases) {
        const answer = await lab.post('/server/system/register', body)
        assert.equal(answer.status, 400)
        assert.equal(answer.body.error, text)
        assertEnvelope(answer, 'register')
      }
      const device = await lab.post('/server/system/register', { ...phoneHost, devices: [{ device_name: 'nameless' }] })
      assert.equal(device.body.error, 'Missing required fields: devices.0.device_id')
    },
  )

  await t.test('the fields a host may leave out, or sends in other forms, do not keep it away', async () => {
    const spare: Record<string, unknown>[] = [
      { host_name: 'spare-1', host_url: 'http://10.0.0.1:6109/', devices: [] },
      {
        host_name: 'spare-2',
        host_url: 'http://pi.local',
        devices: [],
        host_port: '6110',
        host_api_url: '',
        system_stats: null,
        capabilities: null,
      },
      {
        host_name: 'spare 3 (Büro)',
        host_url: 'https://lab.example.org/pi3',
        devices: [
          { device_id: 'host', device_name: null, device_ip: 1, device_port: 5555, video_fps: 25, some_future_field: { a: [1] } },
        ],
        something_new: true,
      },
    ]
    for (const body of spare) {
      const answer = await lab.post<{ host_data: HostData }>('/server/system/register', body)
      assert.equal(answer.status, 200, answer.text)
      assert.equal(answer.body.host_data.host_api_url, body.host_url)
    }
  })

  await t.test('addresses that nobody can call are refused', async () => {
    for (const url of [
      'lab-1',
      'ftp://lab-1',
      'http://',
      'http://[',
      'http://a:99999',
      'http://a b',
      'file:///etc/passwd',
      7,
      null,
    ]) {
      const answer = await lab.post('/server/system/register', { ...phoneHost, host_name: 'unreachable', host_url: url })
      assert.equal(answer.status, 400, `${String(url)}: ${answer.text}`)
      assert.match(String(answer.body.error), /host_url/)
    }
  })
})

test('hosts.md 3: ping', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const ping = (body: Record<string, unknown>) => lab.post('/server/system/ping', body)

  await t.test('of a host the server does not know: 404 with the word its reaction hangs on', async () => {
    const answer = await ping({ ...phonePing, host_name: 'nobody' })
    assert.equal(answer.status, 404)
    assert.equal(answer.body.status, 'not_registered')
    assert.equal(answer.body.message, 'Host not registered, please register first')
    assert.equal(answer.body.action, 'register')
    assertEnvelope(answer, 'ping')
  })

  await t.test('without a name: 400', async () => {
    const answer = await ping({ timestamp: 1 })
    assert.equal(answer.status, 400)
    assert.equal(answer.body.error, 'Missing required fields: host_name')
  })

  await t.test('the documented example, and what it changes', async () => {
    const stats = { ...webHost.system_stats, ffmpeg_status: { status: 'stopped', processes_running: 2 } }
    await lab.post('/server/system/register', { ...phoneHost, system_stats: stats } satisfies RegisterHost)
    const answer = await ping(phonePing)
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.body.status, 'success')
    assert.equal(answer.body.message, 'Ping received successfully')
    assert.ok(Math.abs(Number(answer.body.server_time) - Date.now() / 1000) < 30, 'server_time is epoch seconds')
    const { hosts } = (
      await lab.get<{ hosts: HostData[] }>('/server/system/getAllHosts?include_actions=true&include_system_stats=true')
    ).body
    const [host] = hosts
    const shown = host?.system_stats as Record<string, unknown>
    assert.equal(shown.cpu_percent, 20.5, 'figures of the ping')
    assert.equal(shown.python_version, '3.11.2')
    assert.deepEqual(
      shown.ffmpeg_status,
      { status: 'active', processes_running: 2 },
      'kept from the registration, state from the metrics per device',
    )
    assert.deepEqual(shown.monitor_status, { status: 'active' })
    const [device] = host?.devices ?? []
    assert.deepEqual(device?.device_action_types, phoneHost.devices[0]?.device_action_types, 'a short ping costs no definitions')
    assert.equal(device?.device_ip, '192.168.1.50')
    assert.doesNotMatch(JSON.stringify(hosts), /last_ping_data|per_device_metrics|capture_folder/)
  })

  await t.test('service states stay when a later ping says nothing of them', async () => {
    await ping({ host_name: 'lab-1', system_stats: { cpu_percent: 1 } })
    const { hosts } = (await lab.get<{ hosts: HostData[] }>('/server/system/getAllHosts')).body
    assert.deepEqual(hosts[0]?.system_stats, { ffmpeg_status: { status: 'active' }, monitor_status: { status: 'active' } })
  })

  await t.test('changed devices are taken over; has_running_deployment moves both ways', async () => {
    const listed = async () => (await lab.get<{ hosts: HostData[] }>('/server/system/getAllHosts')).body.hosts[0]?.devices ?? []
    const device = phoneHost.devices[0]
    for (const running of [true, false, true]) {
      await ping({ host_name: 'lab-1', devices: [{ ...device, has_running_deployment: running }] })
      assert.deepEqual(
        (await listed()).map((one) => one.has_running_deployment),
        [running],
      )
    }
    await ping({
      host_name: 'lab-1',
      devices: [
        { ...device, device_name: 'renamed' },
        { device_id: 'device2', device_model: 'stb' },
      ],
    })
    assert.deepEqual(
      (await listed()).map((one) => [one.device_id, one.device_name, one.device_model]),
      [
        ['device1', 'renamed', 'android_mobile'],
        ['device2', null, 'stb'],
      ],
    )
    await ping({ host_name: 'lab-1', devices: [device] })
    assert.deepEqual(
      (await listed()).map((one) => one.device_id),
      ['device1'],
    )
    await ping({ host_name: 'lab-1' })
    assert.deepEqual(
      (await listed()).map((one) => one.device_id),
      ['device1'],
      'left out means unchanged',
    )
  })
})

test('hosts.md 4: unregister marks the host offline, keeps its record, and says 404 for an unknown name', async (t) => {
  const lab = await startLab(t)
  await lab.post('/server/control/takeControl', { host_name: 'lab-1', device_id: 'device1' })
  const answer = await lab.post('/server/system/unregister', { host_name: 'lab-1', timestamp: 1753690000.1 })
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.body, { status: 'success', message: 'Host unregistered successfully' })
  const { hosts } = (await lab.get<{ hosts: HostData[] }>('/server/system/getAllHosts')).body
  assert.deepEqual(
    hosts.map((host) => [host.host_name, host.status, host.isLocked]),
    [['lab-1', 'offline', false]],
  )
  assert.deepEqual((await lab.get<{ leases: unknown[] }>('/server/leases')).body.leases, [])

  assert.equal((await lab.post('/server/system/unregister', {})).body.error, 'Missing required fields: host_name')
  const unknown = await lab.post('/server/system/unregister', { host_name: 'nobody' })
  assert.equal(unknown.status, 404)
  assert.equal(unknown.body.code, 'host_not_found')

  const back = await lab.post('/server/system/ping', { host_name: 'lab-1' })
  assert.equal(back.status, 200, 'a ping is a sign of life')
})

test('hosts.md 5: hosts, their times and their flags are there after a restart of the server', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  for (const example of [webHost, phoneHost, boxHost]) await lab.post('/server/system/register', example)
  await lab.call('PUT', '/server/device-flags/lab-1/device1', { body: { flags: ['living-room', 'new'] } })
  const listing = '/server/system/getAllHosts?include_actions=true&include_system_stats=true'
  const before = (await lab.get<{ hosts: HostData[] }>(listing)).body.hosts
  await lab.restart()
  assert.deepEqual((await lab.get<{ hosts: HostData[] }>(listing)).body.hosts, before)
  await lab.post('/server/system/register', phoneHost)
  const flags = await lab.get<{ data: { device_flags: { host_name: string; flags: string[] }[] } }>('/server/device-flags/batch')
  assert.deepEqual(flags.body.data.device_flags.find((row) => row.host_name === 'lab-1')?.flags, ['living-room', 'new'])
})

test('hosts.md 5: a host is offline after three of its periods, an original one after 660 s, and back with its next ping', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const ago = (name: string, seconds: number) =>
    sql`update hosts set last_seen_at = now() - make_interval(secs => ${seconds}) where name = ${name}`.execute(lab.db.kysely)
  const states = async () => {
    const { hosts } = (await lab.get<{ hosts: HostData[] }>('/server/system/getAllHosts')).body
    return Object.fromEntries(hosts.map((host) => [host.host_name, host.status]))
  }
  await lab.post('/server/system/register', { ...phoneHost, host_name: 'original' })
  await lab.post('/server/system/register', { ...phoneHost, host_name: 'agent', agent: 'virtualpytest-host', ping_interval_s: 1 })
  await ago('original', 650)
  await ago('agent', 6)
  await until('the agent is offline', async () => (await states()).agent === 'offline')
  assert.equal((await states()).original, 'online')
  assert.equal((await lab.post('/server/system/ping', { host_name: 'agent' })).status, 200)
  assert.equal((await states()).agent, 'online')
})
