import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startLab, until } from '../start-lab.ts'
import { startLinkedAgent } from './start-linked-lab.ts'

test('a host whose port nobody reaches registers, links, runs a script, gives a screenshot and is driven', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  const agent = await startLinkedAgent(t, { serverUrl: lab.url })
  await until('the link is open', () => agent.output().includes('link to the server is open'))

  const taken = await lab.post<{ success: boolean }>('/server/control/takeControl', {
    host_name: 'nat-1',
    device_id: 'device1',
    session_id: 'me',
  })
  assert.equal(taken.status, 200, taken.text)
  const shot = await lab.post<{ screenshot_url: string }>('/server/av/takeScreenshot', {
    host_name: 'nat-1',
    device_id: 'device1',
    session_id: 'me',
  })
  assert.equal(shot.status, 200, shot.text)
  const picture = '/server/hosts/nat-1/stream/capture1/captures/verification_source.jpg'
  const still = await fetch(`${lab.url}${picture}`)
  assert.deepEqual([still.status, still.headers.get('content-type')], [200, 'image/jpeg'])
  assert.deepEqual([...new Uint8Array(await still.arrayBuffer()).subarray(0, 2)], [0xff, 0xd8], 'a JPEG')
  const known = await fetch(`${lab.url}${picture}`, { headers: { 'if-none-match': still.headers.get('etag') ?? 'none' } })
  assert.equal(known.status, 304)

  const live = await fetch(`${lab.url}/server/hosts/nat-1/stream/capture1/live.mjpeg?fps=5`)
  assert.match(live.headers.get('content-type') ?? '', /^multipart\/x-mixed-replace; boundary=/)
  let frames = ''
  for await (const part of live.body ?? []) {
    frames += Buffer.from(part as Uint8Array).toString('latin1')
    if (frames.split('content-type: image/jpeg').length > 2 || frames.length > 5_000_000) break
  }
  assert.ok(frames.split('content-type: image/jpeg').length > 2, 'two pictures')
  await lab.post('/server/control/releaseControl', { host_name: 'nat-1', device_id: 'device1', session_id: 'me' })

  const run = await lab.post<{ run_id: string }>('/server/script/execute', {
    host_name: 'nat-1',
    device_id: 'device1',
    script_name: 'zapping.ts',
    parameters: '--channels 2 --max-ms 5000',
  })
  assert.equal(run.status, 202, run.text)
  const ended = await until(
    'the run has ended',
    async () => {
      const { body } = await lab.get<{ run: { status: string } }>(`/server/runs/${run.body.run_id}`)
      return ['passed', 'failed', 'error'].includes(body.run.status) && body.run
    },
    120_000,
  )
  assert.equal(ended.status, 'passed', agent.output())
})
