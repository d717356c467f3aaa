import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import {
  type AlertReport,
  alertRoutes,
  PingHost,
  RegisterHost,
  type RunOrder,
  RunProgress,
  type RunStep,
  TaskComplete,
} from '@virtualpytest/shared'

/** What a fake server knows of one run: the ledger that judges the agent. */
export interface LedgerRun {
  order: RunOrder
  isStarted: boolean
  steps: Map<number, RunStep>
  lines: string[]
  artifacts: Map<string, { kind: string; name: string; contentType: string; data: Buffer }>
  /** Every result that was accepted or repeated; one attempt must have one content. */
  results: TaskComplete[]
  /** What came before the first result; nothing may come after it. */
  writesAfterResult: number
  staleWrites: number
  cancel: boolean
  /** Progress and artifacts are answered 400. */
  refusesProgress: boolean
}

export interface FakeServer {
  url: string
  registrations: RegisterHost[]
  pings: PingHost[]
  /** Leases named by every beat, also by those that got no good answer. */
  beatLeases: { run_id: string }[][]
  unregistered: string[]
  /** Bodies that the contract does not allow. */
  invalid: string[]
  runs: Map<string, LedgerRun>
  /** Headers X-API-Key of all calls. */
  keys: (string | undefined)[]
  /** `up` answers, a number answers everything with that status, `stale` refuses writes of runs, `forgot` knows no host. */
  mode: 'up' | 'stale' | 'forgot' | number
  /** What the next beat is told. */
  lostLeases: { device_id: string; token: number; run_id: string; reason: string }[]
  ordersInBeat: RunOrder[]
  /** Every report of an alert, in the order in which they came. */
  alerts: AlertReport[]
  /** Added to the time the server tells. */
  clockOffsetMs: number
  run(runId: string): LedgerRun
  /** Makes a run known without telling the agent. */
  know(order: RunOrder): LedgerRun
  /** Calls the agent that registered last, with its key. */
  callAgent(
    path: string,
    body: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Record<string, unknown> }>
  dispatch(order: RunOrder): Promise<{ status: number; body: Record<string, unknown> }>
  goAway(): Promise<void>
  comeBack(): Promise<void>
  close(): Promise<void>
}

/** A server that speaks the agent's side of the protocol over real HTTP and keeps a ledger. */
export async function startFakeServer(): Promise<FakeServer> {
  const sockets = new Set<Socket>()
  let http: Server
  let port = 0

  const listen = async (): Promise<void> => {
    http = createServer((request, response) => {
      handle(request, response).catch((error: unknown) => {
        server.invalid.push(`fake server failed: ${String(error)}`)
        response.destroy()
      })
    })
    http.on('connection', (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve))
    port = (http.address() as AddressInfo).port
  }
  const goAway = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => http.close(() => resolve()))
  }

  const server: FakeServer = {
    url: '',
    registrations: [],
    pings: [],
    beatLeases: [],
    unregistered: [],
    invalid: [],
    runs: new Map(),
    keys: [],
    mode: 'up',
    lostLeases: [],
    ordersInBeat: [],
    alerts: [],
    clockOffsetMs: 0,
    run(runId) {
      const run = server.runs.get(runId)
      if (!run) throw new Error(`no run ${runId} in the ledger`)
      return run
    },
    know(order) {
      const run: LedgerRun = {
        order,
        isStarted: false,
        steps: new Map(),
        lines: [],
        artifacts: new Map(),
        results: [],
        writesAfterResult: 0,
        staleWrites: 0,
        cancel: false,
        refusesProgress: false,
      }
      server.runs.set(order.run_id, run)
      return run
    },
    async callAgent(path, body, headers) {
      const last = server.registrations.at(-1)
      if (!last) throw new Error('no agent has registered')
      const response = await fetch(`${last.host_api_url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': last.call_key ?? '', ...headers },
        body: JSON.stringify(body),
      })
      return { status: response.status, body: (await response.json()) as Record<string, unknown> }
    },
    dispatch(order) {
      if (!server.runs.has(order.run_id)) server.know(order)
      return server.callAgent('/host/script/execute', order)
    },
    goAway,
    comeBack: listen,
    close: goAway,
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const data = Buffer.concat(chunks)
    const url = new URL(request.url ?? '/', 'http://fake')
    const send = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    const refuse = (status: number, code: string): void =>
      send(status, { success: false, error: code, message: code, code, request_id: 'x' })
    server.keys.push(request.headers['x-api-key'] as string | undefined)
    const json = (): unknown => JSON.parse(data.toString('utf8'))
    if (url.pathname === '/server/system/ping') server.beatLeases.push((json() as { leases: { run_id: string }[] }).leases)
    if (typeof server.mode === 'number') return refuse(server.mode, 'internal')

    if (url.pathname === '/server/system/register') {
      const body = RegisterHost.safeParse(json())
      if (!body.success) {
        server.invalid.push(`register: ${body.error.message}`)
        return refuse(400, 'validation_error')
      }
      server.registrations.push(body.data)
      if (server.mode === 'forgot') server.mode = 'up'
      return send(200, {
        status: 'success',
        message: 'Host registered successfully',
        host_name: body.data.host_name,
        host_data: {},
      })
    }
    if (url.pathname === '/server/system/ping') {
      if (server.mode === 'forgot')
        return send(404, { status: 'not_registered', message: 'Host not registered', action: 'register' })
      const body = PingHost.safeParse(json())
      if (!body.success) {
        server.invalid.push(`ping: ${body.error.message}`)
        return refuse(400, 'validation_error')
      }
      server.pings.push(body.data)
      const answer = { lost_leases: server.lostLeases, runs: server.ordersInBeat }
      server.lostLeases = []
      server.ordersInBeat = []
      return send(200, { status: 'success', message: 'ok', server_time: (Date.now() + server.clockOffsetMs) / 1000, ...answer })
    }
    if (url.pathname === '/server/system/unregister') {
      server.unregistered.push((json() as { host_name: string }).host_name)
      return send(200, { status: 'success', message: 'Host unregistered successfully' })
    }
    if (url.pathname === '/server/script/taskComplete') {
      const body = TaskComplete.safeParse(json())
      if (!body.success) {
        server.invalid.push(`taskComplete: ${body.error.message}`)
        return refuse(400, 'validation_error')
      }
      const run = [...server.runs.values()].find((one) => one.order.task_id === body.data.task_id)
      if (!run || server.mode === 'stale' || body.data.token !== run.order.token) {
        if (run) run.staleWrites++
        return refuse(409, 'stale_token')
      }
      run.results.push(body.data)
      return send(200, { success: true, message: 'ok' })
    }
    if (url.pathname === '/server/alerts/report') {
      const body = alertRoutes.report.body.safeParse(json())
      if (!body.success) {
        server.invalid.push(`alerts: ${body.error.message}`)
        return refuse(400, 'validation_error')
      }
      server.alerts.push(...body.data.alerts)
      return send(200, { success: true, stored: body.data.alerts.length })
    }
    const progress = /^\/server\/runs\/([^/]+)\/progress$/.exec(url.pathname)
    if (progress) {
      const body = RunProgress.safeParse(json())
      if (!body.success) {
        server.invalid.push(`progress: ${body.error.message}`)
        return refuse(400, 'validation_error')
      }
      const run = server.runs.get(progress[1] ?? '')
      if (!run) return refuse(404, 'run_not_found')
      if (server.mode === 'stale' || body.data.token !== run.order.token) {
        run.staleWrites++
        return refuse(409, 'stale_token')
      }
      if (run.refusesProgress) return refuse(400, 'validation_error')
      if (run.results.length > 0) run.writesAfterResult++
      run.isStarted ||= body.data.started ?? false
      for (const step of body.data.steps ?? []) run.steps.set(step.position, step)
      const log = body.data.log
      if (log && log.from <= run.lines.length) run.lines.splice(log.from, log.lines.length, ...log.lines)
      return send(200, { success: true, next_line: run.lines.length, cancel: run.cancel })
    }
    const artifact = /^\/server\/runs\/([^/]+)\/artifacts\/([^/]+)$/.exec(url.pathname)
    if (artifact && request.method === 'PUT') {
      const run = server.runs.get(artifact[1] ?? '')
      if (!run) return refuse(404, 'run_not_found')
      if (server.mode === 'stale' || request.headers['x-lease-token'] !== String(run.order.token)) {
        run.staleWrites++
        return refuse(409, 'stale_token')
      }
      if (run.refusesProgress) return refuse(400, 'validation_error')
      if (run.results.length > 0) run.writesAfterResult++
      run.artifacts.set(artifact[2] ?? '', {
        kind: url.searchParams.get('kind') ?? '',
        name: url.searchParams.get('name') ?? '',
        contentType: request.headers['content-type'] ?? '',
        data,
      })
      return send(201, { success: true, artifact: {} })
    }
    return refuse(404, 'route_not_found')
  }

  await listen()
  server.url = `http://127.0.0.1:${port}`
  return server
}
