import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { readMjpegParts } from '../mjpeg-parts.ts'
import { freePort } from '../reliability/server-process.ts'
import { type Lab, type LabOptions, startLab, until } from '../start-lab.ts'
import { dialLink, natHost, registerNatHost } from './dial-link.ts'

const live = `/server/hosts/${natHost.hostName}/stream/capture1/live.mjpeg`
const boundary = 'vpt-frame'

type Answer = ServerResponse | Http2ServerResponse
type Handler = (request: IncomingMessage | Http2ServerRequest, response: Answer) => unknown

function picture(number: number, bytes: number): Buffer {
  const data = Buffer.alloc(bytes)
  data.writeUInt32BE(number)
  const head = `content-type: image/jpeg\r\ncontent-length: ${bytes}\r\nx-timestamp: 17\r\n\r\n`
  return Buffer.concat([Buffer.from(head), data, Buffer.from(`\r\n--${boundary}\r\n`)])
}

/** A host with a live picture of the test's making. */
function liveHost(onViewer: (response: ServerResponse) => unknown): Handler {
  return (request, response) => {
    const plain = response as ServerResponse
    if (!request.url?.endsWith('live.mjpeg')) return plain.end('{"success":true}')
    plain.writeHead(200, { 'content-type': `multipart/x-mixed-replace; boundary=${boundary}` })
    plain.write(`--${boundary}\r\n`)
    return onViewer(plain)
  }
}

/** The host's program is asked over its URL, or over a link that it has opened. */
async function startLiveLab(t: TestContext, handle: Handler, way: 'url' | 'link' = 'url', options: LabOptions = {}) {
  const lab = await startLab(t, { hosts: 0, ...options })
  if (way === 'link') {
    await registerNatHost(lab)
    await dialLink(t, lab, { handle })
    return lab
  }
  const host = createServer(handle).listen(0, '127.0.0.1')
  await once(host, 'listening')
  t.after(() => {
    host.closeAllConnections()
    host.close()
  })
  const host_url = `http://127.0.0.1:${(host.address() as AddressInfo).port}`
  await registerNatHost(lab, { host_url, link_only: false })
  return lab
}

interface Viewer {
  numbers: number[]
  headers: IncomingMessage['headers']
  hold: () => void
  go: () => void
  close: () => void
}
function view(url: string, token?: string): Promise<Viewer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, headers }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`HTTP ${response.statusCode}`))
      const numbers: number[] = []
      response.on('error', () => undefined)
      response.on(
        'data',
        readMjpegParts((jpeg) => numbers.push(jpeg.readUInt32BE())),
      )
      resolve({
        numbers,
        headers: response.headers,
        hold: () => response.pause(),
        go: () => response.resume(),
        close: () => void request.destroy(),
      })
    })
    request.on('error', reject)
  })
}

/** On a busy machine a viewer that holds for the test holds for long. */
const patient = { timings: { viewerStuckMs: 300_000 } }

for (const way of ['url', 'link'] as const) {
  test(`S: a slow viewer gets the newest picture through the server, by ${way}, and holds nothing up`, async (t) => {
    const most = 160
    let sent = 0
    let isHeld = false
    const handle = liveHost(async (response) => {
      while (sent < most) {
        sent += 1
        // A host that is held up by its viewer would never come to the end.
        if (!response.write(picture(sent, 200_000))) await once(response, 'drain')
        if (sent === 1) await until('the viewer holds', () => isHeld)
      }
    })
    const lab = await startLiveLab(t, handle, way, patient)
    const viewer = await view(`${lab.url}${live}`)
    await until('the first picture is seen', () => viewer.numbers.length > 0)
    viewer.hold()
    isHeld = true
    await until('the host has sent everything', () => sent === most)
    viewer.go()
    await until('the last picture is seen', () => viewer.numbers.at(-1) === most)
    assert.deepEqual(
      viewer.numbers,
      [...new Set(viewer.numbers)].sort((a, b) => a - b),
    )
    assert.ok(viewer.numbers.length < most / 2, `${viewer.numbers.length} of ${most}`)
    viewer.close()
  })
}

test('S: a viewer that went away without a word is let go, and so is the picture of the host', async (t) => {
  let isOpen = false
  const handle = liveHost((response) => {
    isOpen = true
    const timer = setInterval(() => response.write(picture(1, 500_000)), 10)
    response.once('close', () => {
      clearInterval(timer)
      isOpen = false
    })
  })
  const lab = await startLiveLab(t, handle, 'url', { timings: { viewerStuckMs: 500 } })
  const viewer = await view(`${lab.url}${live}`)
  viewer.hold()
  await until('it watches', () => isOpen)
  await until('the host hears that nobody watches', () => !isOpen)
  viewer.close()
})

test('S: watching needs the team, not the device; too many viewers are told so', async (t) => {
  let isFull = false
  const show = liveHost((response) => void response.write(picture(7, 1000)))
  const handle: Handler = (request, response) => {
    if (!isFull) return show(request, response)
    ;(response as ServerResponse).writeHead(503, { 'content-type': 'application/json' })
    return (response as ServerResponse).end('{"success":false,"code":"too_many_viewers"}')
  }
  const lab = await startLiveLab(t, handle, 'url', { env: { AUTH_MODE: 'required' } })
  const { token } = await lab.addToken('eyes', 'viewer')
  const stranger = await lab.addTeam('strangers')
  assert.equal((await lab.get(live)).status, 401)
  assert.equal((await lab.get(live, { token: stranger.token })).body.code, 'host_not_found')
  await holdDevice(lab)
  const viewer = await view(`${lab.url}${live}`, token)
  await until('a viewer sees a device that somebody else holds', () => viewer.numbers[0] === 7)
  viewer.close()
  isFull = true
  const refused = await lab.get(live, { token })
  assert.deepEqual([refused.status, refused.body.code], [503, 'too_many_viewers'])
})

async function holdDevice(lab: Lab): Promise<void> {
  const holder = await lab.addToken('holder', 'tester')
  const body = { host_name: natHost.hostName, device_id: 'device1' }
  await lab.post('/server/control/takeControl', body, { token: holder.token })
  const locked = await lab.get('/server/control/lockedDevices', { token: holder.token })
  assert.match(locked.text, /device1/)
}

const withoutNginx = spawnSync('nginx', ['-v']).error ? 'nginx is not installed on this machine' : false

test('S: a picture is seen at once behind an nginx that gathers answers', { skip: withoutNginx }, async (t) => {
  let response: ServerResponse | undefined
  const lab = await startLiveLab(
    t,
    liveHost((one) => {
      response = one
    }),
  )
  const url = await startNginx(t, lab.url)
  const viewing = view(`${url}${live}`)
  await until('the host is asked', () => response !== undefined)
  response?.write(picture(1, 300))
  const viewer = await viewing
  // The next one comes only when the one before was seen: small enough to lie in the buffers of nginx for ever.
  for (const number of [1, 2, 3]) {
    await until(`picture ${number} is seen`, () => viewer.numbers.at(-1) === number)
    response?.write(picture(number + 1, 300))
  }
  viewer.close()
})

async function startNginx(t: TestContext, upstream: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'vpt-nginx-'))
  const port = await freePort()
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`)
  const text = `daemon off; master_process off; pid ${folder}/pid; error_log stderr error; events {}
    http { access_log off; ${places.join(' ')} server { listen 127.0.0.1:${port}; location / { proxy_pass ${upstream}; } } }`
  await writeFile(path.join(folder, 'nginx.conf'), text)
  const nginx = spawn('nginx', ['-c', path.join(folder, 'nginx.conf'), '-e', path.join(folder, 'log')], { stdio: 'ignore' })
  t.after(async () => {
    if (nginx.exitCode === null && nginx.signalCode === null) {
      nginx.kill('SIGKILL')
      await once(nginx, 'exit')
    }
    await rm(folder, { recursive: true, force: true })
  })
  const url = `http://127.0.0.1:${port}`
  await until('nginx listens', async () => (await fetch(`${url}/health`).catch(() => undefined))?.status === 200)
  return url
}
