import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { createDial } from '../../backend_host/src/link/dial.ts'
import { createReverseHttp } from '../../backend_host/src/link/reverse-http.ts'

export const quiet = pino({ level: 'silent' })
export type Series = number[]

/** The smallest question to a host that has a body: one picture of 20 kB, as a tester looks at it all day. */
const picture = Buffer.alloc(20_000, 1)
const mediaPath = 'stream/capture1/captures/verification_source.jpg'

export async function register(
  serverUrl: string,
  hostName: string,
  hostUrl: string,
): Promise<{ bootId: string; callKey: string }> {
  const facts = { bootId: `boot-of-${hostName}`, callKey: `call-key-of-${hostName}-0000` }
  const response = await fetch(`${serverUrl}/server/system/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      host_name: hostName,
      host_url: hostUrl,
      agent: 'virtualpytest-host',
      ping_interval_s: 600,
      boot_id: facts.bootId,
      call_key: facts.callKey,
      devices: [{ device_id: 'device1', device_name: 'Box', device_model: 'stb' }],
    }),
  })
  if (!response.ok) throw new Error(`${hostName} could not register: ${response.status} ${await response.text()}`)
  await response.arrayBuffer()
  return facts
}

/** One program known to the server twice: by its URL, and by its link. */
export async function startFakeHost(serverUrl: string) {
  const server = http.createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': String(picture.length) })
    response.end(picture)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await register(serverUrl, 'bench-url', url)
  const facts = await register(serverUrl, 'bench-link', 'http://127.0.0.1:1')
  const dial = createDial({
    serverUrl,
    apiKey: undefined,
    hostName: 'bench-link',
    ...facts,
    http: createReverseHttp(server),
    log: quiet,
  })
  dial.start()
  const deadline = performance.now() + 10_000
  while (!dial.isOpen()) {
    if (performance.now() > deadline) throw new Error('the link did not open')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await new Promise((resolve) => setTimeout(resolve, 500))
  return {
    url,
    stop(): void {
      dial.stop().catch(() => undefined)
      server.closeAllConnections()
      server.close()
    },
  }
}

export const directCalls = (hostUrl: string, count: number): Promise<Series> => time(`${hostUrl}/host/${mediaPath}`, count)
export const proxiedCalls = (serverUrl: string, hostName: string, count: number): Promise<Series> =>
  time(`${serverUrl}/server/hosts/${hostName}/${mediaPath}`, count)

/** One after the other on a kept connection: what is measured is the way, not the queue. */
async function time(url: string, count: number): Promise<Series> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const times: Series = []
  for (let call = -50; call < count; call += 1) {
    const startedAt = performance.now()
    await new Promise<void>((resolve, reject) => {
      http
        .get(url, { agent }, (response) => {
          if (response.statusCode !== 200) reject(new Error(`${url} answered ${response.statusCode}`))
          response.resume().once('end', resolve)
        })
        .once('error', reject)
    })
    if (call >= 0) times.push(performance.now() - startedAt)
  }
  agent.destroy()
  return times
}
