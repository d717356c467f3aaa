import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { defaultTeamId, type Run, type RunStep } from '@virtualpytest/shared'

export interface SeenRequest {
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingMessage['headers']
  body: Record<string, unknown>
}

type Reply = { status?: number; body: unknown } | 'cut'

/**
 * A server that says of one run exactly what a test wants, at the moment the test wants it: cuts, repetitions and silence
 * included, which a real server shows only by chance.
 */
export interface FakeApi {
  url: string
  requests: SeenRequest[]
  run: Run
  steps: RunStep[]
  lines: string[]
  /** Answers a route otherwise than by default; null goes back to the default. */
  on(route: string, reply: ((request: SeenRequest) => Reply) | null): void
  /** Sends an event to all open streams. `isLost`: it gets a number, but nobody receives it. */
  event(type: string, data: Record<string, unknown>, options?: { isLost?: boolean; seq?: number }): number
  streams(): number
  /** Ends the open streams, as a proxy or a network does. */
  cutStreams(): void
  finish(changes: Partial<Run>): void
  stop(): Promise<void>
  /** Listens again where it listened before. */
  start(): Promise<void>
  requestsOf(route: string): SeenRequest[]
}

export const errorAnswer = (status: number, code: string, error: string, extra: object = {}) => ({
  status,
  body: { success: false, error, message: error, code, request_id: 'f3b1a6de-0000-4000-8000-000000000001', ...extra },
})

export const aStep = (position: number, name: string, changes: Partial<RunStep> = {}): RunStep => ({
  position,
  kind: 'block',
  name,
  started_at: new Date().toISOString(),
  duration_ms: 812,
  outcome: 'passed',
  message: null,
  details: null,
  screenshot_artifact_id: null,
  ...changes,
})

export const aRun = (changes: Partial<Run> = {}): Run => {
  const at = new Date().toISOString()
  return {
    id: randomUUID(),
    team_id: defaultTeamId,
    kind: 'script',
    name: 'zapping.ts',
    parameters: '',
    host_name: 'rack-1',
    device_id: 'device1',
    device_name: 'Living room box',
    device_model: 'stb',
    status: 'running',
    success: null,
    failure_class: null,
    error_code: null,
    error_message: null,
    source: 'manual',
    requested_by: null,
    retry_of: null,
    attempt: 1,
    retries_left: 0,
    priority: 50,
    queue_position: null,
    cancel_requested: false,
    queued_at: at,
    assigned_at: at,
    started_at: at,
    finished_at: null,
    deadline_at: at,
    duration_ms: null,
    report_url: null,
    logs_url: null,
    checked: false,
    discarded: false,
    metadata: {},
    ...changes,
  }
}

export async function startFakeApi(t: TestContext, changes: Partial<Run> = {}): Promise<FakeApi> {
  const replies = new Map<string, (request: SeenRequest) => Reply>()
  const streams = new Set<ServerResponse>()
  let server: Server | undefined
  let port = 0
  let seq = 100

  const api: FakeApi = {
    url: '',
    requests: [],
    run: aRun(changes),
    steps: [],
    lines: [],
    on(route, reply) {
      if (reply) replies.set(route, reply)
      else replies.delete(route)
    },
    event(type, data, options = {}) {
      seq = options.seq ?? seq + 1
      const event = { seq, type, subject: { kind: 'run', id: api.run.id }, data, at: new Date().toISOString() }
      if (!options.isLost)
        for (const stream of streams) stream.write(`id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify(event)}\n\n`)
      return seq
    },
    streams: () => streams.size,
    cutStreams() {
      for (const stream of streams) stream.destroy()
      streams.clear()
    },
    finish(end) {
      const finished_at = new Date().toISOString()
      api.run = { ...api.run, finished_at, duration_ms: 4200, report_url: `/server/runs/${api.run.id}/report`, ...end }
      api.event('run.finished', { status: api.run.status })
    },
    requestsOf: (route) => api.requests.filter((request) => `${request.method} ${request.path}` === route),
    async stop() {
      api.cutStreams()
      server?.closeAllConnections()
      await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
    },
    async start() {
      server = createServer((request, response) => void handle(request, response))
      await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve))
      port = (server.address() as AddressInfo).port
      api.url = `http://127.0.0.1:${port}`
    },
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake')
    const content = await text(request).catch(() => '')
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: (content === '' ? {} : JSON.parse(content)) as Record<string, unknown>,
    }
    api.requests.push(seen)
    const reply = (replies.get(`${seen.method} ${seen.path}`) ?? defaultReply)(seen)
    if (reply === 'cut') request.socket.destroy()
    else if (reply === 'stream') openStream(response)
    else response.writeHead(reply.status ?? 200, { 'content-type': 'application/json' }).end(JSON.stringify(reply.body))
  }

  function openStream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).write(`retry: 1000\n: after=${seq}\n\n`)
    streams.add(response)
    response.once('close', () => streams.delete(response))
  }

  function defaultReply({ method, path, query }: SeenRequest): Reply | 'stream' {
    const { run, steps, lines } = api
    switch (`${method} ${path}`) {
      case 'POST /server/script/execute': {
        const body = {
          success: true,
          task_id: run.id,
          run_id: run.id,
          status: 'started',
          run_status: run.status,
          message: 'started',
        }
        return { status: 202, body }
      }
      case 'GET /server/runs':
        return { body: { success: true, runs: [run], next_before: null } }
      case `GET /server/runs/${run.id}`:
        return { body: { success: true, run, steps, artifacts: [] } }
      case `GET /server/runs/${run.id}/log`: {
        const from = Number(query.get('after') ?? 0)
        const page = lines.slice(from)
        return { body: { success: true, lines: page, from, next_after: from + page.length, complete: run.finished_at !== null } }
      }
      case `POST /server/runs/${run.id}/cancel`:
        api.run = { ...run, cancel_requested: true }
        return { body: { success: true, run: api.run } }
      case 'GET /server/events':
        return 'stream'
      default:
        return errorAnswer(404, 'route_not_found', 'There is no such route.')
    }
  }

  await api.start()
  t.after(() => api.stop())
  return api
}
