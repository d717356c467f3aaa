import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { get, request as httpRequest, type IncomingMessage } from 'node:http'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startUpstream } from './start-proxy.ts'

const megabyte = 1024 * 1024
const chunk = Buffer.alloc(64 * 1024, 'x')

function* megabytes(count: number): Generator<Buffer> {
  for (let sent = 0; sent < count * megabyte; sent += chunk.length) yield chunk
}

async function startProxyProgram(t: TestContext, target: URL) {
  const file = path.join(import.meta.dirname, 'programs/proxy-program.ts')
  const child: ChildProcess = fork(file, [target.href], { execArgv: process.execArgv.filter((one) => !one.startsWith('--test')) })
  t.after(() => child.kill('SIGKILL'))
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return {
    url: `http://127.0.0.1:${port}`,
    async memory(): Promise<{ now: number; peak: number }> {
      child.send('memory')
      const [memory] = (await once(child, 'message')) as [{ now: number; peak: number }]
      return memory
    },
  }
}

async function download(url: string, pauseMs: number): Promise<number> {
  const [response] = (await once(get(url), 'response')) as [IncomingMessage]
  let received = 0
  let next = 4 * megabyte
  for await (const part of response as AsyncIterable<Buffer>) {
    received += part.length
    if (received < next) continue
    next += 4 * megabyte
    if (pauseMs > 0) await pause(pauseMs)
  }
  return received
}

async function upload(url: string, count: number): Promise<string> {
  const request = httpRequest(url, { method: 'POST' })
  const answered = once(request, 'response') as Promise<[IncomingMessage]>
  await pipeline(Readable.from(megabytes(count)), request)
  const [response] = await answered
  return (await response.setEncoding('utf8').toArray()).join('')
}

test('U3: 50 MB down, fast or slowly read, and 50 MB up add less than 20 MB of memory', async (t) => {
  const { target } = await startUpstream(t, (request, response) => {
    if (request.method === 'GET') {
      const count = Number(new URL(request.url ?? '', 'http://x').searchParams.get('mb'))
      pipeline(Readable.from(megabytes(count)), response).catch(() => {})
      return
    }
    let received = 0
    request.on('data', (part: Buffer) => {
      received += part.length
      // A program that is slower than the client.
      request.pause()
      setImmediate(() => request.resume())
    })
    request.on('end', () => response.end(String(received)))
  })
  const proxy = await startProxyProgram(t, target())
  // What a process needs anyway after its first requests is not what a body adds.
  await download(`${proxy.url}/grafana/x?mb=5`, 0)
  await upload(`${proxy.url}/grafana/x`, 5)
  const added: Record<string, number> = {}
  const measure = async (name: string, work: () => Promise<unknown>, expected: unknown): Promise<void> => {
    const before = (await proxy.memory()).now
    assert.equal(await work(), expected)
    added[name] = ((await proxy.memory()).peak - before) / megabyte
  }
  await measure('upload', () => upload(`${proxy.url}/grafana/x`, 50), String(50 * megabyte))
  await measure('download', () => download(`${proxy.url}/grafana/x?mb=50`, 0), 50 * megabyte)
  await measure('slow download', () => download(`${proxy.url}/grafana/x?mb=50`, 50), 50 * megabyte)
  t.diagnostic(
    Object.entries(added)
      .map(([name, mb]) => `${name} +${mb.toFixed(1)} MB`)
      .join(', '),
  )
  for (const [name, mb] of Object.entries(added)) assert.ok(mb < 20, `${name} added ${mb.toFixed(1)} MB`)
})
