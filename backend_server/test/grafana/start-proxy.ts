import type { RequestListener, Server } from 'node:http'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createSocketServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { LabError } from '@virtualpytest/shared'
import { Server as SocketServer } from 'socket.io'
import { readConfig } from '../../src/config.ts'
import { canonicalizeBeforeAll, createHttpApp, installNotFound } from '../../src/http/http-app.ts'
import { cutUnknownUpgrades, type MountedProgram, mountProgram } from '../../src/http/mounted-program/index.ts'
import { testLog } from '../test-log.ts'

export interface RunningProxy {
  url: string
  port: number
  stop: () => Promise<void>
}

export interface ProxyOptions extends Partial<MountedProgram> {
  /** Also answers Socket.IO at /server/socket.io, as the product does. */
  withSocketIo?: boolean
}

/** The HTTP shell of the product with one mounted program, listening on a free port. */
export async function startProxy(target: () => URL | undefined, options: ProxyOptions = {}): Promise<RunningProxy> {
  const { withSocketIo, ...program } = options
  const log = testLog
  const app = await createHttpApp(readConfig({ TRUSTED_PROXIES: String(options.trustedProxies ?? 0) }), log)
  const mounted = mountProgram(app, app.server, {
    prefix: '/grafana',
    title: 'Dashboards',
    target,
    authorize: async () => ({ 'x-webauth-user': 'ann', 'x-webauth-role': 'Viewer' }),
    unavailable: (reason) =>
      new LabError('grafana_unavailable', reason === 'off' ? { text: 'Grafana is switched off on this server.' } : {}),
    withheldHeaders: /^(x-webauth-.*|authorization)$/,
    withheldCookies: ['vpt_grafana'],
    trustedProxies: 0,
    ...program,
  })
  app.get('/server/echo', async () => ({ success: true }))
  installNotFound(app, () => [])
  await app.ready()
  const io = withSocketIo
    ? new SocketServer(app.server, { path: '/server/socket.io', addTrailingSlash: false, destroyUpgrade: false })
    : undefined
  io?.on('connection', (socket) => socket.on('say', (text, reply) => reply(text)))
  cutUnknownUpgrades(app.server, (path) => /^\/(grafana|server\/socket\.io)\//.test(`${path}/`))
  canonicalizeBeforeAll(app.server)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async stop() {
      mounted.stop()
      io?.engine.close()
      await app.close()
    },
  }
}

/** A program behind the proxy, for as long as the test. */
export async function startUpstream(
  t: TestContext,
  answer: RequestListener,
  prepare: (server: Server) => void = () => {},
): Promise<{ target: () => URL; server: Server }> {
  const server = createServer(answer)
  prepare(server)
  // Upgraded connections too: the server itself forgets those.
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { server, target: () => new URL(`http://127.0.0.1:${port}`) }
}

/** The proxy in this process, for as long as the test. */
export async function proxyTo(t: TestContext, target: () => URL | undefined, options?: ProxyOptions): Promise<RunningProxy> {
  const proxy = await startProxy(target, options)
  t.after(() => proxy.stop())
  return proxy
}

export interface RawAnswer {
  socket: Socket
  status: number
  head: string
  /** What came after the head so far. */
  rest: () => string
}

/** Sends bytes as they are and waits for the head of the answer; for what no HTTP client would send. */
export function rawCall(t: TestContext, port: number, text: string): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let received = ''
    t.after(() => socket.destroy())
    socket.setEncoding('latin1')
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 s')))
    socket.on('error', reject)
    socket.on('close', () => reject(new Error(`closed after ${received.length} bytes`)))
    socket.on('data', (part) => {
      received += part
      const end = received.indexOf('\r\n\r\n')
      if (end === -1) return
      const head = received.slice(0, end)
      resolve({ socket, head, status: Number(head.slice(9, 12)), rest: () => received.slice(end + 4) })
    })
  })
}

/** For programs that cannot take one from the kernel themselves. */
export async function freePort(): Promise<number> {
  const server = createSocketServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
