import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDriver } from '../src/drivers/index.ts'
import { readMjpeg } from './read-mjpeg.ts'
import { startLabWithAgent, until } from './start-agent.ts'

type Body = Record<string, unknown>

test('S: faults of a watched box reach the server with start, end and thumbnails; it may be away meanwhile', async (t) => {
  const delays = { blackscreen: 2_000, freeze: 3_000, audio_loss: 2_000 }
  const lab = await startLabWithAgent(t, {}, ({ driver }) => createDriver(driver, { seed: 3 }), { faultDelays: delays })
  const command = (name: string, params: Body) =>
    lab.server.callAgent('/host/remote/executeCommand', { device_id: 'device1', command: name, params })
  const ask = async (path: string) => (await lab.server.callAgent(path, { device_id: 'device1' })).body
  const alerts = (type: string) =>
    lab.server.alerts.flatMap((one) => (one.type === type ? [`${String(one.id)} ${String(one.status)}`] : []))
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
