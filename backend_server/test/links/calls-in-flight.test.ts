import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get } from 'node:http'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startLab, until } from '../start-lab.ts'
import { dialLink, type Handler, natHost, registerNatHost, take } from './dial-link.ts'

const picture = `/server/hosts/${natHost.hostName}/stream/capture1/captures/verification_source.jpg`

test('an answer that arrives in one piece is read whole, and one that breaks off is none', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await registerNatHost(lab)
  let asked = 0
  const handle: Handler = (request, response) => {
    asked += 1
    if (!request.url.endsWith('broken.jpg')) {
      response.end('{"success":true}')
      return
    }
    response.writeHead(200, { 'content-length': '1000' })
    response.write('the beginning')
    // Without an error code, as a program ends that dies in an orderly way.
    setTimeout(() => response.stream.close(), 100)
  }
  await dialLink(t, lab, { gather: true, handle })
  for (let call = 0; call < 10; call += 1) {
    const answer = await take(lab)
    assert.deepEqual([answer.status, answer.body.success], [200, true], answer.text)
  }
  assert.equal(asked, 10, 'none was repeated')
  const file = await fetch(`${lab.url}${picture}`)
  assert.deepEqual([file.status, await file.text()], [200, '{"success":true}'], 'media too')
  const broken = await fetch(`${lab.url}${picture.replace('verification_source', 'broken')}`)
  await assert.rejects(broken.text(), 'the rest is missing, and the reader is told')
})

test('a call whose link is lost fails with a clear code when the link does not come back', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await registerNatHost(lab)
  let asked = 0
  const link = await dialLink(t, lab, { handle: () => (asked += 1) })
  const call = take(lab)
  await until('the call has arrived', () => asked === 1)
  link.socket.terminate()
  const answer = await call
  assert.deepEqual([answer.status, answer.body.code, answer.body.errorType], [503, 'host_link_lost', 'network_error'])
  const without = await take(lab)
  assert.deepEqual([without.status, without.body.code], [503, 'host_unreachable'])
  assert.match(String(without.body.error), /link of this host is down/)
})

test('a call whose link is lost goes on over the next link of the same start, as the same call', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await registerNatHost(lab)
  const ids: unknown[] = []
  const first = await dialLink(t, lab, { handle: (request) => ids.push(request.headers['x-request-id']) })
  const call = take(lab)
  await until('the call has arrived', () => ids.length === 1)
  first.socket.terminate()
  const answering: Handler = (request, response) => {
    ids.push(request.headers['x-request-id'])
    response.end('{"success":true}')
  }
  await dialLink(t, lab, { handle: answering })
  assert.equal((await call).status, 200)
  assert.equal(ids.length, 2)
  assert.equal(ids[0], ids[1])
})

test('a call is not carried over to another start of the agent, which remembers nothing', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await registerNatHost(lab)
  let first = 0
  let second = 0
  const link = await dialLink(t, lab, { handle: () => (first += 1) })
  const call = take(lab)
  await until('the call has arrived', () => first === 1)
  link.socket.terminate()
  const next = { boot_id: 'boot-2', call_key: 'call-key-of-the-next-start' }
  await registerNatHost(lab, next)
  await dialLink(t, lab, { facts: { bootId: next.boot_id, callKey: next.call_key }, handle: () => (second += 1) })
  assert.equal((await call).body.code, 'host_link_lost')
  assert.equal(second, 0)
})

test('hundreds of calls share a link, and a video that nobody reads holds up none of them', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await registerNatHost(lab)
  let sent = 0
  let cut = 0
  await dialLink(t, lab, {
    handle(request, response) {
      if (!request.url.endsWith('.mp4')) {
        response.end('{"success":true}')
        return
      }
      response.once('close', () => (cut += 1))
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(16 * 1024))) sent += 16 * 1024
        response.once('drain', more)
      }
      more()
    },
  })
  const video = `${lab.url}${picture.replace('captures/verification_source.jpg', 'segments/video.mp4')}`
  const viewers = Array.from({ length: 5 }, () => get(video, { agent: false }))
  for (const viewer of viewers) viewer.on('error', () => undefined)
  const stalled = await Promise.all(viewers.map((viewer) => once(viewer, 'response')))
  await pause(500)
  assert.ok(sent < 40_000_000, `nobody reads, and ${sent} bytes were taken`)
  const answers = await Promise.all(Array.from({ length: 60 }, () => lab.get(picture)))
  assert.deepEqual([...new Set(answers.map(({ status, text }) => `${status} ${text}`))], ['200 {"success":true}'])
  for (const viewer of viewers) viewer.destroy()
  await until('the host is told that the viewers are gone', () => cut === stalled.length)
})
