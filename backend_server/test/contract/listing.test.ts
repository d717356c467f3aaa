import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allRoutes, ListedHost } from '@virtualpytest/shared'
import { type Lab, startLab, until } from '../start-lab.ts'
import { assertEnvelope } from './raw-call.ts'
import { boxHost, phoneHost, webHost } from './wire-examples.ts'

type Fields = Record<string, unknown>
interface Listing {
  success: boolean
  server_info: Fields
  hosts: (Fields & { devices: Fields[] })[]
}

/** The fields of the protocol document, section 2 of the core API, plus the locks that it wants in every shape. */
const locks = ['isLocked', 'lockedBy', 'lockedAt']
const hostFields = {
  short: ['host_name', 'host_url', 'host_port', 'status', 'device_count', 'system_stats', 'devices', ...locks],
  stats: ['last_seen', 'registered_at'],
  actions: ['description'],
}
const deviceFields = {
  short: [
    'device_id',
    'device_name',
    'device_model',
    'device_capabilities',
    'video_stream_path',
    'has_running_deployment',
    ...locks,
  ],
  stats: ['device_ip', 'device_port', 'video_capture_path', 'video_fps', 'ir_type'],
  actions: ['video', 'device_action_types', 'device_verification_types'],
}
const serverStats = [
  'cpu_percent',
  'memory_percent',
  'disk_percent',
  'uptime_seconds',
  'platform',
  'architecture',
  'timestamp',
  'server_name',
  'disk_write_mb_per_sec',
  'load_average_1m',
  'load_average_5m',
  'load_average_15m',
]

const has = (one: Fields, names: readonly string[], what: string) => {
  for (const name of names) assert.ok(Object.hasOwn(one, name), `${what} lacks ${name}: ${Object.keys(one).join(' ')}`)
}
const lacks = (one: Fields, names: readonly string[], what: string) => {
  for (const name of names) assert.ok(!Object.hasOwn(one, name), `${what} has ${name}`)
}

async function list(lab: Lab, query = ''): Promise<Listing & { text: string }> {
  const answer = await lab.get<Listing>(`/server/system/getAllHosts${query}`)
  assert.equal(answer.status, 200, answer.text)
  allRoutes.hosts?.getAllHosts?.answers[200]?.parse(answer.body)
  for (const host of answer.body.hosts) ListedHost.parse(host)
  return { ...answer.body, text: answer.text }
}

test('api-core.md 2: getAllHosts in its three shapes', async (t) => {
  const lab = await startLab(t, { hosts: 0, env: { SERVER_NAME: 'my lab' } })
  const device = { ...phoneHost.devices[0], device_id: 'device1', video_fps: 5, future_field: { deep: [1] } }
  await lab.post('/server/system/register', webHost)
  await lab.post('/server/system/register', { ...phoneHost, devices: [device], call_key: 'secret-call-key-1234' })
  // Port 1 of this machine: nobody listens there.
  await lab.post('/server/system/register', { ...boxHost, host_api_url: 'http://127.0.0.1:1' })

  await t.test('short: what the first page needs', async () => {
    for (const query of [
      '',
      '?include_actions=false',
      '?include_actions=false&include_system_stats=false',
      '?include_actions=&include_system_stats=no',
    ]) {
      const { success, server_info: info, hosts } = await list(lab, query)
      assert.equal(success, true)
      assert.deepEqual(info, { server_name: 'my lab', server_url: lab.url, server_port: new URL(lab.url).port })
      assert.deepEqual(
        hosts.map((host) => host.host_name),
        ['web-host-1', 'lab-1', 'lab-2'],
      )
      for (const host of hosts) {
        has(host, hostFields.short, 'host')
        lacks(host, [...hostFields.stats, ...hostFields.actions], 'short host')
        for (const one of host.devices) {
          has(one, deviceFields.short, 'device')
          lacks(one, [...deviceFields.stats, ...deviceFields.actions], 'short device')
        }
      }
      assert.deepEqual(hosts[0]?.system_stats, { ffmpeg_status: { status: 'active' }, monitor_status: { status: 'active' } })
      assert.deepEqual(hosts[1]?.system_stats, {})
      assert.equal(hosts[0]?.device_count, 1)
      assert.equal(hosts[0]?.host_port, 6109)
      assert.deepEqual(hosts[1]?.devices[0]?.device_capabilities, device.device_capabilities)
    }
  })

  await t.test('with figures', async () => {
    const { server_info: info, hosts } = await list(lab, '?include_system_stats=true')
    has(info.system_stats as Fields, serverStats, 'server_info.system_stats')
    for (const host of hosts) {
      has(host, [...hostFields.short, ...hostFields.stats], 'host')
      assert.equal(typeof host.last_seen, 'number')
      for (const one of host.devices) {
        has(one, [...deviceFields.short, ...deviceFields.stats], 'device')
        lacks(one, deviceFields.actions, 'device')
      }
    }
    assert.deepEqual(hosts[1]?.system_stats, phoneHost.system_stats)
    const [phone] = hosts[1]?.devices ?? []
    assert.deepEqual([phone?.device_ip, phone?.device_port, phone?.video_fps, phone?.ir_type], ['192.168.1.50', '5555', 5, null])
    assert.equal(hosts[2]?.devices[0]?.ir_type, 'eos')
  })

  await t.test('with everything a device offers, extra fields included', async () => {
    const { server_info: info, hosts } = await list(lab, '?include_actions=true')
    lacks(info, ['system_stats'], 'server_info')
    for (const host of hosts) {
      has(host, [...hostFields.short, ...hostFields.stats, ...hostFields.actions], 'host')
      for (const one of host.devices) has(one, [...deviceFields.short, ...deviceFields.stats, ...deviceFields.actions], 'device')
    }
    const [phone] = hosts[1]?.devices ?? []
    assert.deepEqual(phone?.device_action_types, device.device_action_types)
    assert.deepEqual(phone?.device_verification_types, device.device_verification_types)
    assert.deepEqual([phone?.video_fps, phone?.future_field, phone?.video], [5, { deep: [1] }, '/dev/video0'])
    await lab.post('/server/system/register', webHost)
    const again = await list(lab, '?include_actions=true&include_system_stats=true')
    has(again.hosts[0] ?? {}, ['reconnected_at'], 'a host that came back')
    has(again.server_info.system_stats as Fields, serverStats, 'server_info.system_stats')
  })

  await t.test('no shape shows secrets, addresses for calls, or raw pings', async () => {
    await lab.post('/server/system/ping', {
      host_name: 'lab-1',
      timestamp: 1,
      per_device_metrics: [{ device_id: 'device1', ffmpeg_status: 'active' }],
    })
    for (const query of [
      '',
      '?include_system_stats=true',
      '?include_actions=true',
      '?include_actions=true&include_system_stats=true',
    ]) {
      const { text, hosts } = await list(lab, query)
      assert.doesNotMatch(
        text,
        /password=|call_key|secret-call-key|host_api_url|10\.0\.0\.21|key_hash|last_ping_data|per_device_metrics|registered_from/,
      )
      // The web app only looks whether the text begins with http.
      assert.equal(hosts[0]?.devices[0]?.video_stream_path, 'https://lab.example.org/host/vnc/vnc_lite.html')
      assert.equal(hosts[1]?.devices[0]?.video_stream_path, '/host/stream/capture1')
    }
  })

  await t.test('locks stand on devices and hosts in every shape, and are never stale', async () => {
    const shapes = ['', '?include_system_stats=true', '?include_actions=true']
    const taken = await lab.post('/server/control/takeControl', { host_name: 'lab-2', device_id: 'device1', user_id: 'ann' })
    assert.equal(taken.status, 503, taken.text)
    for (const query of shapes) assert.equal((await list(lab, query)).hosts[2]?.isLocked, false, 'the lease was given back')
    const host = await lab.addHost({ name: 'real', devices: 2 })
    const state = async (query: string) => {
      const found = (await list(lab, query)).hosts.find((one) => one.host_name === host.options.name)
      return {
        host: [found?.isLocked, found?.lockedBy],
        devices: found?.devices.map((one) => [one.isLocked, one.lockedBy, typeof one.lockedAt]),
      }
    }
    await lab.post('/server/control/takeControl', { host_name: 'real', device_id: 'device1', user_id: 'ann' })
    for (const query of shapes) {
      assert.deepEqual(await state(query), {
        host: [true, 'ann'],
        devices: [
          [true, 'ann', 'number'],
          [false, null, 'object'],
        ],
      })
    }
    await lab.post('/server/control/takeControl', { host_name: 'real', device_id: 'device2', user_id: 'ann' })
    for (const query of shapes) assert.deepEqual((await state(query)).host, [true, 'ann'])
    await lab.post('/server/control/releaseControl', { host_name: 'real', user_id: 'ann' })
    for (const query of shapes) {
      assert.deepEqual(await state(query), {
        host: [false, null],
        devices: [
          [false, null, 'object'],
          [false, null, 'object'],
        ],
      })
    }
  })

  await t.test('a host that cannot be called is unreachable until its next ping', async () => {
    const status = async () => (await list(lab)).hosts.find((one) => one.host_name === 'lab-2')?.status
    await until('the failed call is remembered', async () => (await status()) === 'unreachable')
    await lab.post('/server/system/ping', { host_name: 'lab-2' })
    assert.equal(await status(), 'online')
  })
})

test('api-core.md 2: getDeviceActions', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await lab.post('/server/system/register', phoneHost)
  const ask = (query: string) => lab.get(`/server/system/getDeviceActions?${query}`)
  const found = await ask('host_name=lab-1&device_id=device1')
  assert.equal(found.status, 200)
  assert.deepEqual(found.body, {
    success: true,
    host_name: 'lab-1',
    device_id: 'device1',
    device_model: 'android_mobile',
    device_action_types: phoneHost.devices[0]?.device_action_types,
    device_verification_types: phoneHost.devices[0]?.device_verification_types,
  })
  const failures: [string, number, string][] = [
    ['', 400, 'Missing required fields: host_name, device_id'],
    ['host_name=lab-1', 400, 'Missing required fields: device_id'],
    ['host_name=nobody&device_id=device1', 404, 'Host "nobody" not found'],
    ['host_name=lab-1&device_id=device9', 404, 'There is no such device in this team.'],
  ]
  for (const [query, status, text] of failures) {
    const answer = await ask(query)
    assert.deepEqual([answer.status, answer.body.error], [status, text], query)
    assertEnvelope(answer, query)
  }
})

test('api-core.md 6: device flags', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await lab.post('/server/system/register', phoneHost)
  await lab.post('/server/system/register', boxHost)
  const put = (path: string, body: unknown) => lab.call('PUT', `/server/device-flags/${path}`, { body })

  const rows = await lab.get<{ data: Fields[] }>('/server/device-flags/')
  assert.deepEqual(
    rows.body.data.map((row) => [row.host_name, row.device_id, row.device_name, row.flags]),
    [
      ['lab-1', 'device1', 'Phone-A', []],
      ['lab-2', 'device1', 'STB-box', []],
    ],
  )
  has(rows.body.data[0] ?? {}, ['id', 'host_name', 'device_id', 'device_name', 'flags', 'created_at', 'updated_at'], 'flag row')

  const stored = await put('lab-1/device1', { flags: ['new', 'attic', 'new'] })
  assert.equal(stored.status, 200)
  assert.deepEqual((stored.body.data as Fields).flags, ['attic', 'new'])
  await put('lab-2/device1', { flags: ['basement'] })
  const batch = await lab.get<{ success: boolean; data: { device_flags: Fields[]; unique_flags: string[] } }>(
    '/server/device-flags/batch',
  )
  assert.equal(batch.body.success, true)
  assert.deepEqual(batch.body.data.unique_flags, ['attic', 'basement', 'new'])
  assert.deepEqual(
    batch.body.data.device_flags.map((row) => row.flags),
    [['attic', 'new'], ['basement']],
  )
  assert.deepEqual((await lab.get('/server/device-flags/flags')).body, { success: true, data: ['attic', 'basement', 'new'] })

  await lab.post('/server/system/register', {
    ...phoneHost,
    devices: [{ ...phoneHost.devices[0], device_id: 'device1', device_name: 'Renamed' }],
  })
  const after = await lab.get<{ data: Fields[] }>('/server/device-flags')
  assert.deepEqual(
    [after.body.data[0]?.device_name, after.body.data[0]?.flags],
    ['Renamed', ['attic', 'new']],
    'flags survive registration and renames',
  )

  for (const body of [{}, { flags: 'attic' }, { flags: null }, { flags: [1] }, { flags: [''] }, { flags: { 0: 'attic' } }]) {
    const answer = await put('lab-1/device1', body)
    assert.equal(answer.status, 400, answer.text)
    assertEnvelope(answer, 'flags')
  }
  assert.deepEqual(
    (await lab.get('/server/device-flags/flags')).body.data,
    ['attic', 'basement', 'new'],
    'a refused request clears nothing',
  )
  for (const path of ['lab-1/device9', 'nobody/device1']) {
    const answer = await put(path, { flags: ['attic'] })
    assert.equal(answer.status, 404)
    assertEnvelope(answer, path)
  }
  assert.deepEqual(((await put('lab-1/device1', { flags: [] })).body.data as Fields).flags, [])
})
