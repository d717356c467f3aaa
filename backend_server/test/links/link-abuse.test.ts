import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, type TestContext, test } from 'node:test'
import { closeRawConnections, rawCall } from '../contract/raw-call.ts'
import { type Lab, startLab, until } from '../start-lab.ts'
import { type DialedLink, dialLink, natHost, registerNatHost, take } from './dial-link.ts'
import { answerFrames, frame, frameTypes, headerBlock, serveRaw } from './raw-frames.ts'

after(closeRawConnections)

const good = { hostName: 'nat-2', bootId: 'boot-of-2', callKey: 'call-key-of-the-good-one' }
const media = (host: string): string => `/server/hosts/${host}/stream/capture1/captures/verification_source.jpg`

/** A lab with a host that behaves, whose link must not suffer from that of the other. */
async function labWithGoodHost(t: TestContext): Promise<{ lab: Lab; goodLink: DialedLink }> {
  const lab = await startLab(t, { hosts: 0 })
  await registerNatHost(lab)
  await registerNatHost(lab, { host_name: good.hostName, boot_id: good.bootId, call_key: good.callKey })
  const goodLink = await dialLink(t, lab, { facts: good })
  return { lab, goodLink }
}

test('header smuggling: heads that no HTTP/2 answer may have fail their call with a code, and reach nobody', async (t) => {
  const { lab, goodLink } = await labWithGoodHost(t)
  const ok = [':status', '200'] as const
  const heads: Record<string, readonly (readonly [string, string])[]> = {
    'hop-by-hop': [ok, ['connection', 'close']],
    'transfer-encoding': [ok, ['transfer-encoding', 'chunked']],
    upgrade: [ok, ['upgrade', 'websocket']],
    'a pseudo header of requests': [ok, [':path', '/server/hosts']],
    'an unknown pseudo header': [ok, [':evil', '1']],
    'a pseudo header after others': [['content-type', 'application/json'], ok],
    'two statuses': [ok, [':status', '500']],
    'no status': [['content-type', 'application/json']],
    'a status that is none': [[':status', 'abc']],
    'capital letters': [ok, ['X-Evil', '1']],
    'a second line in a value': [ok, ['x-evil', 'a\r\nset-cookie: b=c']],
    'a second line in a name': [ok, ['x\r\nset-cookie', 'b']],
    'two lengths': [ok, ['content-length', '16'], ['content-length', '17']],
    'a length that is too small': [ok, ['content-length', '3']],
    'a length that is too large': [ok, ['content-length', '1000']],
  }
  // The field is left out, and the rest is an answer.
  const dropped = new Set(['a second line in a value', 'a second line in a name'])
  let head: readonly (readonly [string, string])[] = []
  const dial = async (): Promise<DialedLink> => {
    const link = await dialLink(t, lab, { raw: true })
    serveRaw(link, (streamId) => answerFrames(streamId, head))
    return link
  }
  let link = await dial()
  for (const [name, fields] of Object.entries(heads)) {
    if (link.socket.readyState !== link.socket.OPEN) link = await dial()
    head = fields
    const answer = await take(lab)
    if (dropped.has(name)) assert.equal(answer.status, 200, `${name}: ${answer.text}`)
    else {
      assert.ok([502, 503].includes(answer.status), `${name}: ${answer.status} ${answer.text}`)
      assert.match(String(answer.body.code), /^host_(link_lost|unreachable|error)$/, name)
    }
    // A length that does not fit shows when the file breaks off, which may be before its first byte.
    const file = await fetch(`${lab.url}${media(natHost.hostName)}`).catch(() => undefined)
    assert.equal(file?.headers.get('set-cookie') ?? null, null, name)
    const bytes = await file?.arrayBuffer().catch(() => undefined)
    if (!dropped.has(name)) assert.ok(!file?.ok || bytes === undefined, `${name}: ${file?.status}`)
  }
  // What is allowed, and still nobody's business but the host's.
  if (link.socket.readyState !== link.socket.OPEN) link = await dial()
  head = [
    ok,
    ['x-forwarded-for', '1.2.3.4'],
    ['x-forwarded-host', 'evil.example'],
    ['set-cookie', 'a=b'],
    ['location', '//evil.example'],
  ]
  const file = await fetch(`${lab.url}${media(natHost.hostName)}`)
  assert.deepEqual([file.status, await file.text()], [200, '{"success":true}'])
  for (const name of ['x-forwarded-for', 'x-forwarded-host', 'set-cookie', 'location']) assert.equal(file.headers.get(name), null)
  assert.equal(goodLink.socket.readyState, goodLink.socket.OPEN)
  assert.equal((await lab.get(media(good.hostName))).status, 200)
})

test('header smuggling: what a caller sends beside his request reaches no host', async (t) => {
  const lab = await startLab(t, { hosts: 0 })
  await registerNatHost(lab)
  const seen: Record<string, unknown>[] = []
  await dialLink(t, lab, {
    handle(request, response) {
      seen.push(request.headers)
      response.end('{"success":true}')
    },
  })
  const smuggled = {
    'x-forwarded-for': '1.2.3.4',
    'x-forwarded-proto': 'gopher',
    'x-host-path': '/host/other',
    'x-internal-key': 'made-up',
    'x-link-failure': 'not begun',
    'x-call-key': 'made-up',
    'x-api-key': 'made-up',
    'x-request-id': 'made-up-by-the-caller',
    cookie: 'a=b',
    authorization: 'Basic eDp5',
    te: 'trailers',
    'keep-alive': 'timeout=1000',
    'proxy-connection': 'keep-alive',
    'http2-settings': 'AAMAAABkAAQAAP__',
    'if-range': '"\u00e9"',
  }
  const answer = await rawCall(lab.url, 'GET', media(natHost.hostName), { headers: smuggled })
  assert.equal(answer.status, 200)
  const [headers = {}] = seen
  assert.equal(headers['x-api-key'], natHost.callKey)
  const allowed = new Set([':method', ':path', ':scheme', ':authority', 'x-api-key', 'if-range'])
  assert.deepEqual(
    Object.keys(headers).filter((name) => !allowed.has(name)),
    [],
  )
})

/** More than a session may owe in acknowledgments. */
const perMessage = 2000
const ping = frame(frameTypes.ping, 0, 0, Buffer.alloc(8))
const floods: Record<string, (count: number) => Buffer> = {
  pings: () => ping,
  settings: () => frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0])),
  'window updates': () => frame(frameTypes.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 0])),
  'resets of streams that never were': (count) => frame(frameTypes.rst, 0, count * 2 + 1, Buffer.from([0, 0, 0, 8])),
  'pushed streams': (count) =>
    frame(
      frameTypes.push,
      4,
      1,
      Buffer.concat([Buffer.from([0, 0, 0, (count % 100) * 2 + 2]), headerBlock([[':method', 'GET']])]),
    ),
  'heads without end': () => frame(frameTypes.headers, 0, 1, headerBlock([['x-filler', 'x'.repeat(100)]])),
  'unknown frames': () => frame(200, 0, 0, Buffer.alloc(20)),
  garbage: () => randomBytes(100),
}

test('a flood over a link ends that link and nothing else', async (t) => {
  const { lab, goodLink } = await labWithGoodHost(t)
  for (const [name, make] of [...Object.entries(floods), ['pings of the WebSocket', undefined] as const]) {
    await t.test(name, async () => {
      const link = await dialLink(t, lab, { raw: true })
      link.bytes.resume()
      let isClosed = false
      const closed = link.closed.then(() => {
        isClosed = true
      })
      if (make) link.socket.send(frame(frameTypes.settings, 0, 0))
      for (let count = 0; !isClosed; count += 1) {
        if (make)
          link.socket.send(Buffer.concat(Array.from({ length: perMessage }, (_, index) => make(count * perMessage + index))))
        else for (let index = 0; index < 500; index += 1) link.socket.ping()
        // The server in this process needs its turn, and what it does not read must not gather here.
        await new Promise((resolve) => setImmediate(resolve))
        await until('the flood has left', () => isClosed || link.socket.bufferedAmount < 1_000_000)
        if (count % 20 === 0)
          assert.equal((await lab.get(media(good.hostName))).status, 200, 'the other host is served meanwhile')
      }
      await closed
      assert.equal(goodLink.socket.readyState, goodLink.socket.OPEN)
      assert.equal((await lab.get(media(good.hostName))).status, 200)
      await dialLink(t, lab, {})
      assert.equal((await take(lab)).status, 200, 'and its own host, over the next link')
    })
  }
})
