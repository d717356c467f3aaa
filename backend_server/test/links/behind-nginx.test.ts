// The real agent, two servers, and in front of each a real nginx with the file of the container's nginx topology.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { freePort } from '../reliability/server-process.ts'
import { startLab, until } from '../start-lab.ts'
import { startNginx } from '../start-nginx.ts'
import { startLinkedAgent } from './start-linked-lab.ts'

const skip = spawnSync('nginx', ['-v']).status === 0 ? false : 'needs nginx'

test('a link goes through nginx, and so does what two servers hand to each other by INTERNAL_URL', { skip }, async (t) => {
  const ports = [await freePort(), await freePort()] as const
  const env = (port: number) => ({ INTERNAL_URL: `http://127.0.0.1:${port}` })
  const one = await startLab(t, { hosts: 0, env: env(ports[0]) })
  const two = await startLab(t, { hosts: 0, env: env(ports[1]), databaseUrl: one.databaseUrl })
  const entries = [await startNginx(t, one.url, ports[0]), await startNginx(t, two.url, ports[1])] as const
  const agent = await startLinkedAgent(t, { serverUrl: entries[0] })
  await until('the agent is linked', () => agent.output().includes('link to the server is open'))
  const device = { host_name: 'nat-1', device_id: 'device1', session_id: 'me' }
  for (const entry of entries) {
    for (const route of ['control/takeControl', 'av/takeScreenshot']) {
      const answer = await fetch(`${entry}/server/${route}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(device),
      })
      assert.equal(answer.status, 200, `${entry} ${route} ${await answer.text()}`)
    }
    const picture = `${entry}/server/hosts/nat-1/stream/capture1/captures/verification_source.jpg`
    const whole = await fetch(picture)
    const bytes = new Uint8Array(await whole.arrayBuffer())
    assert.deepEqual([whole.status, bytes[0], bytes[1]], [200, 0xff, 0xd8])
    assert.equal(String(bytes.length), whole.headers.get('content-length'))
    const part = await fetch(picture, { headers: { range: 'bytes=0-9' } })
    assert.deepEqual([part.status, (await part.arrayBuffer()).byteLength], [206, 10])
    const live = await fetch(`${entry}/server/hosts/nat-1/stream/capture1/live.mjpeg?fps=5`)
    let frames = ''
    for await (const chunk of live.body ?? []) {
      frames += Buffer.from(chunk as Uint8Array).toString('latin1')
      if (frames.split('content-type: image/jpeg').length > 2 || frames.length > 5_000_000) break
    }
    assert.ok(frames.split('content-type: image/jpeg').length > 2, 'two pictures of a stream, at once')
  }
})
