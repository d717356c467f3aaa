import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildAgent } from '../src/app.ts'
import { readConfig } from '../src/config.ts'
import { createDriver } from '../src/drivers/index.ts'
import { readMjpeg } from './read-mjpeg.ts'
import { agentEnv, startLabWithAgent, until } from './start-agent.ts'

type Body = Record<string, unknown>

test('S: faults of a watched box reach the server with start, end and thumbnails; it may be away meanwhile', async (t) => {
  const delays = { blackscreen: 2_000, freeze: 3_000, audio_loss: 2_000 }
  const lab = await startLabWithAgent(t, {}, ({ driver }) => createDriver(driver, { seed: 3 }), { faultDelays: delays })
  const command = (name: string, params: Body) =>
    lab.server.callAgent('/host/remote/executeCommand', { device_id: 'device1', command: name, params })
  const ask = async (path: string) => (await lab.server.callAgent(path, { device_id: 'device1' })).body
  const alerts = (type: string) =>
    lab.server.alerts.flatMap((one) => (one.type === type ? [`${String(one.id)} ${String(one.status)}`] : []))
  // The clock of this machine is an hour behind that of the server.
  const hour = 3_600_000
  lab.server.clockOffsetMs = hour
  const beats = lab.server.pings.length
  await until('the agent has heard of it', () => lab.server.pings.length > beats + 1)
  const begun = Date.now()
  await command('press_key', { key: 'OK' })
  await command('sim_show', { fault: 'black' })
  await new Promise((resolve) => setTimeout(resolve, 4000))
  assert.equal(lab.server.alerts.length, 0, 'a device that nobody watches is not watched')
  assert.equal((await ask('/host/monitoring/latest-json')).success, false)

  const viewer = await readMjpeg(`${lab.url}/host/stream/capture1/live.mjpeg?fps=5`)
  t.after(() => viewer.close())
  await until('black is reported', () => alerts('blackscreen').length === 1)
  const [raised] = lab.server.alerts
  assert.deepEqual([raised?.device_id, raised?.status, raised?.ended_at], ['device1', 'active', null])
  const startedAt = Date.parse(raised?.started_at ?? '') - hour
  assert.ok(startedAt > begun - 1000 && startedAt < Date.now() + 1000, 'the time of the server counts')
  assert.match(String((raised as Body | undefined)?.thumbnails && JSON.stringify((raised as Body).thumbnails)), /"start":"\/9j\//)
  const start = await fetch(`${lab.url}${String(raised?.evidence?.start_thumbnail_url)}`)
  assert.equal(start.headers.get('content-type'), 'image/jpeg')
  const latest = await ask('/host/monitoring/latest-json')
  assert.deepEqual([(latest.json_data as Body).blackscreen, (latest.json_data as Body).blackscreen_percentage], [true, 100])
  const { captures } = (await ask('/host/monitoring/listCaptures')) as { captures: { url: string }[] }
  assert.equal((await fetch(`${lab.url}${captures.at(-1)?.url}`)).status, 200)

  lab.server.mode = 503
  await command('sim_show', { fault: 'none' })
  await until('the agent has seen the end', async () =>
    ((await ask('/host/monitoring/live-events')).events as Body[]).some((one) => one.status === 'resolved'),
  )
  lab.server.mode = 'up'
  await until('the end is reported', () => alerts('blackscreen').length >= 2)
  const ended = lab.server.alerts.at(-1)
  assert.deepEqual([ended?.id, ended?.status], [raised?.id, 'resolved'])
  assert.ok(ended?.evidence?.start_thumbnail_url && ended?.evidence?.end_thumbnail_url)

  await new Promise((resolve) => setTimeout(resolve, 7000))
  await command('sim_show', { fault: 'silence' })
  await until('silence is reported', () => alerts('audio_loss').length === 1)
  await command('sim_show', { fault: 'none' })
  await until('sound is reported', () => alerts('audio_loss').length === 2)
})

test('S: a fault outlives a restart of the agent as the same alert, and ends with a reason when nobody watches any more', async (t) => {
  const delays = { blackscreen: 1_500, freeze: 60_000, audio_loss: 60_000 }
  // The box itself goes on while its agent is restarted.
  const boxes = new Map<string, ReturnType<typeof createDriver>>()
  const makeDriver = ({ deviceId }: { deviceId: string }) => {
    const driver = boxes.get(deviceId) ?? createDriver('sim', { seed: 3 })
    boxes.set(deviceId, driver)
    return driver
  }
  const lab = await startLabWithAgent(t, {}, makeDriver, { faultDelays: delays })
  /** Reports in the order of the first time they came: the agent says again what was not acknowledged before it was closed. */
  const told = () => {
    const different = new Map(lab.server.alerts.map((one) => [`${one.id} ${one.status}`, one]))
    return [...different.values()].map((one) => `${one.status} ${one.end_reason ?? ''}`.trim())
  }
  const ids = () => new Set(lab.server.alerts.map((one) => one.id))
  const show = (fault: string) => boxes.get('device1')?.execute('sim_show', { fault }, new AbortController().signal)
  const watch = async (url: string) => {
    const viewer = await readMjpeg(`${url}/host/stream/capture1/live.mjpeg?fps=5`)
    t.after(() => viewer.close())
    return viewer
  }
  await watch(lab.url)
  await show('black')
  await until('black is reported', () => told().length === 1)
  await lab.agent.close()
  const again = await buildAgent({
    config: readConfig({ ...process.env, ...agentEnv(lab) }),
    node: { execPath: process.execPath, args: [] },
    createDriver: makeDriver,
    beatSeconds: 1,
    faultDelays: delays,
    logStream: { write: () => undefined },
  })
  t.after(() => again.close())
  const viewer = await watch(await again.start())
  await show('none')
  await until('its end is reported', () => told().length === 2)
  assert.deepEqual([told(), ids().size], [['active', 'resolved seen'], 1])

  await show('black')
  await until('black is reported again', () => told().length === 3)
  viewer.close()
  await until('it ends with the stream', () => told().length === 4)
  assert.deepEqual(told().slice(2), ['active', 'resolved stream_stopped'])
  assert.equal(ids().size, 2)
})
