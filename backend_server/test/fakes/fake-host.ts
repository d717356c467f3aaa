import { randomBytes, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { json } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import type { RegisterHost, RunOrder } from '@virtualpytest/shared'
import { FakeDeviceCalls, onePixelJpeg } from './fake-device-calls.ts'

/** What the host saw and did; the judge of the reliability tests, because it owes the server nothing. */
export interface LedgerEntry {
  at: number
  event: 'started' | 'finished' | 'cancelled' | 'lost' | 'refused' | 'result_accepted' | 'result_refused' | 'control'
  run_id?: string
  device_id?: string
  token?: number
  detail?: string
}

export interface FakeHostOptions {
  name: string
  /** Base URL of the server; a function, because tests restart it elsewhere. */
  serverUrl: () => string
  devices?: number
  /** Speaks like an original host: no agent fields, no tokens, one callback without retry. */
  original?: boolean
  beatMs?: number
  /** How long a script takes. */
  runMs?: (order: RunOrder) => number
  /** Answers an order with this instead of starting it. */
  refuse?: (order: RunOrder) => { status: number; body: Record<string, unknown> } | undefined
  /** How long it takes to give control. */
  controlMs?: number
  apiKey?: string
  scripts?: string[]
  /** Where it listens and is found; default 127.0.0.1. */
  address?: string
  /** Hears what became of every call to the server; status 0 is no answer. */
  onPost?: (path: string, status: number) => void
  /** With a browser of its own beside the boxes: the device `host`. */
  browser?: boolean
  /** How long a batch of actions, verifications or a block takes. */
  batchMs?: number
}

/** A JPEG that says what it is. */
const picture = Buffer.concat([Buffer.from(onePixelJpeg, 'base64'), Buffer.from('bytes of a picture')])

interface OpenRun {
  order: RunOrder
  timer: NodeJS.Timeout
  finished: boolean
}

/**
 * A host that speaks the real protocol over real sockets, without devices. It keeps its promises like our agent does:
 * starts an order once, refuses old tokens, beats with its leases, and repeats a result until it is answered.
 */
export class FakeHost {
  readonly ledger: LedgerEntry[] = []
  readonly options: FakeHostOptions
  readonly runs = new Map<string, OpenRun>()
  /** Every run it ever started: an order that arrives late, after the result, must not start it again. */
  private readonly known = new Set<string>()
  readonly callKey = randomBytes(16).toString('hex')
  /** What it was asked to do with its devices, and the answers of a host without devices. */
  readonly calls: FakeDeviceCalls
  private readonly fences = new Map<string, number>()
  private server: Server | undefined
  private beatTimer: NodeJS.Timeout | undefined
  private closed = false
  /** Set while it sleeps: what is asked meanwhile is answered after it woke up. */
  private sleeping: PromiseWithResolvers<void> | undefined
  private readonly pending = new Set<Promise<unknown>>()
  private readonly aborter = new AbortController()

  constructor(options: FakeHostOptions) {
    this.options = options
    this.calls = new FakeDeviceCalls({ batchMs: options.batchMs ?? 50, isAgent: !options.original })
  }

  get url(): string {
    const address = this.server?.address()
    if (typeof address !== 'object' || address === null) throw new Error('the fake host has not been started')
    return `http://${this.options.address ?? '127.0.0.1'}:${address.port}`
  }

  async start(): Promise<this> {
    this.server = createServer((request, response) => {
      this.answer(request)
        .then(({ status, body }) => {
          const isPicture = Buffer.isBuffer(body)
          const type = isPicture ? 'image/jpeg' : 'application/json'
          response.writeHead(status, { 'content-type': type }).end(isPicture ? body : JSON.stringify(body))
        })
        .catch((error: unknown) => response.writeHead(500).end(String(error)))
    })
    await new Promise<void>((resolve) => this.server?.listen(0, this.options.address ?? '127.0.0.1', resolve))
    await this.register()
    if (!this.options.original) this.startBeating()
    return this
  }

  startBeating(): void {
    this.beatTimer = setInterval(() => this.background(this.beat()), this.options.beatMs ?? 10_000)
  }

  /** As if its way to the server were cut: its scripts go on. Ends with the beat that is under way. */
  async stopBeating(): Promise<void> {
    clearInterval(this.beatTimer)
    await Promise.allSettled(this.pending)
  }

  /** Stops like a machine whose lid was closed: it neither beats nor answers, and its scripts stand still. */
  sleep(): void {
    this.sleeping = Promise.withResolvers()
    clearInterval(this.beatTimer)
    for (const run of this.runs.values()) clearTimeout(run.timer)
    this.server?.closeAllConnections()
  }

  /** Goes on as if no time had passed: the first thing it does is to finish what it believes to be its work. */
  wake(): void {
    this.sleeping?.resolve()
    this.sleeping = undefined
    for (const run of this.runs.values()) this.background(this.finish(run.order))
    if (!this.options.original) this.startBeating()
  }

  registration(): RegisterHost {
    const devices: RegisterHost['devices'] = Array.from({ length: this.options.devices ?? 1 }, (_, index) => ({
      device_id: `device${index + 1}`,
      device_name: `${this.options.name} box ${index + 1}`,
      device_model: 'stb',
      device_ip: null,
      device_port: null,
      ir_type: 'eos',
      device_capabilities: {
        av: 'hdmi_stream',
        remote: 'ir_remote',
        desktop: null,
        web: null,
        power: null,
        ai: null,
        verification: [],
      },
      device_verification_types: { image: [], text: [] },
      device_action_types: {
        remote: [{ id: 'press_key_ok', label: 'OK', command: 'press_key', action_type: 'remote', params: { key: 'OK' } }],
      },
      video_stream_path: '/host/stream/capture1',
      video_capture_path: '/var/www/html/stream/capture1',
      video: '/dev/video0',
    }))
    if (this.options.browser) devices.push(browserDevice(this.options.name))
    return {
      host_name: this.options.name,
      host_url: this.url,
      host_api_url: this.url,
      host_port: Number(new URL(this.url).port),
      host_ip: '127.0.0.1',
      device_count: devices.length,
      devices,
      capabilities: ['av', 'remote', 'verification'],
      system_stats: {
        cpu_percent: 7.5,
        memory_percent: 41.2,
        disk_percent: 33,
        uptime_seconds: 86400,
        platform: 'Linux',
        architecture: 'x86_64',
      },
      ...(!this.options.original && {
        agent: 'fake-host',
        agent_version: '0',
        protocol: 1,
        ping_interval_s: this.beatSeconds,
        boot_id: randomUUID(),
        call_key: this.callKey,
        scripts: (this.options.scripts ?? ['demo.py', 'zapping.ts'].map((name) => name.replace(/\.py$/, ''))).map((name) => ({
          name,
          parameters: [],
        })),
      }),
    }
  }

  /** The contract knows no period below a second. */
  private get beatSeconds(): number {
    return Math.max(1, (this.options.beatMs ?? 10_000) / 1000)
  }

  async register(): Promise<void> {
    await this.post('/server/system/register', this.registration())
  }

  async beat(): Promise<void> {
    const leases = [...this.runs.values()].map(({ order }) => ({
      device_id: order.device_id,
      token: order.token,
      run_id: order.run_id,
    }))
    const answer = await this.post('/server/system/ping', {
      host_name: this.options.name,
      ping_interval_s: this.beatSeconds,
      leases,
    })
    if (answer.status === 404) await this.register()
    if (answer.status !== 200) return
    for (const lost of (answer.body.lost_leases ?? []) as { run_id: string }[]) this.drop(lost.run_id, 'lost')
    for (const order of (answer.body.runs ?? []) as RunOrder[]) this.take(order)
  }

  private async answer(request: IncomingMessage): Promise<{ status: number; body: Record<string, unknown> | Buffer }> {
    await this.sleeping?.promise
    const body = (request.method === 'GET' ? {} : await json(request).catch(() => ({}))) as Record<string, unknown>
    const key = request.headers['x-api-key']
    const expected = this.options.original ? this.options.apiKey : this.callKey
    if (expected !== undefined && key !== expected) {
      return { status: 401, body: { error: 'Invalid API key', message: 'Authentication failed' } }
    }
    const path = new URL(request.url ?? '/', 'http://host').pathname
    if (path.startsWith('/host/stream/')) return { status: 200, body: picture }
    if (path === '/host/takeControl') {
      this.log({ event: 'control', device_id: String(body.device_id) })
      await pause(this.options.controlMs ?? 0, undefined, { signal: this.aborter.signal })
      return { status: 200, body: { success: true, available_controllers: ['av', 'remote'] } }
    }
    if (path === '/host/releaseControl') return { status: 200, body: { success: true } }
    if (path === '/host/script/execute') return this.execute(body as unknown as RunOrder)
    const cancel = /^\/host\/runs\/([^/]+)\/cancel$/.exec(path)
    if (cancel?.[1]) return this.cancel(cancel[1])
    const query = Object.fromEntries(new URL(request.url ?? '/', 'http://host').searchParams)
    const answered = await this.calls.answer({ method: request.method ?? '', path, query, body })
    return answered ?? { status: 404, body: { success: false, error: 'no such route on this fake host' } }
  }

  private execute(order: RunOrder): { status: number; body: Record<string, unknown> } {
    const refusal = this.options.refuse?.(order)
    if (refusal) return refusal
    if (!this.take(order)) return { status: 409, body: { success: false, error: 'stale token', code: 'stale_token' } }
    return { status: 202, body: { success: true, message: 'started', task_id: order.task_id } }
  }

  private take(order: RunOrder): boolean {
    if (!this.options.original) {
      if (this.known.has(order.run_id)) return true
      const highest = this.fences.get(order.device_id) ?? 0
      if (order.token < highest) {
        this.log({ event: 'refused', run_id: order.run_id, device_id: order.device_id, token: order.token })
        return false
      }
      this.fences.set(order.device_id, order.token)
    }
    this.known.add(order.run_id)
    this.log({ event: 'started', run_id: order.run_id, device_id: order.device_id, token: order.token })
    const timer = setTimeout(() => this.background(this.finish(order)), this.options.runMs?.(order) ?? 50)
    this.runs.set(order.run_id, { order, timer, finished: false })
    if (!this.options.original) this.background(this.tellStart(order))
    return true
  }

  private async tellStart(order: RunOrder): Promise<void> {
    if ((await this.report(order, { started: true })) === 409) this.drop(order.run_id, 'lost')
  }

  async report(order: RunOrder, progress: Record<string, unknown>): Promise<number> {
    const answer = await this.post(`/server/runs/${order.run_id}/progress`, {
      host_name: this.options.name,
      token: order.token,
      ...progress,
    })
    return answer.status
  }

  /** Ends a script now, however long it would have taken. */
  async endRun(runId: string): Promise<void> {
    const run = this.runs.get(runId)
    if (!run) throw new Error(`the fake host has no run ${runId}`)
    await this.finish(run.order)
  }

  private async finish(order: RunOrder): Promise<void> {
    const run = this.runs.get(order.run_id)
    if (!run || run.finished) return
    run.finished = true
    this.log({ event: 'finished', run_id: order.run_id, device_id: order.device_id, token: order.token })
    await this.sendResult(order, {
      stdout: 'SCRIPT_SUCCESS:true\n',
      exit_code: 0,
      script_success: true,
      outcome: 'passed',
      execution_time_ms: 50,
    })
  }

  /** Repeats until the server answers, like our agent; an original host tries once. */
  async sendResult(order: RunOrder, result: Record<string, unknown>): Promise<number> {
    const token = this.options.original ? {} : { token: order.token, host_name: this.options.name }
    for (let pauseMs = 100; !this.closed; pauseMs = Math.min(1000, pauseMs * 2)) {
      const { status } = await this.post('/server/script/taskComplete', { task_id: order.task_id, result, ...token })
      if (status === 200) this.log({ event: 'result_accepted', run_id: order.run_id, token: order.token })
      if (status === 409 || status === 404) this.log({ event: 'result_refused', run_id: order.run_id, token: order.token })
      if (status === 200 || status === 409 || status === 404 || this.options.original) {
        clearTimeout(this.runs.get(order.run_id)?.timer)
        this.runs.delete(order.run_id)
        return status
      }
      await pause(pauseMs)
    }
    return 0
  }

  private async cancel(runId: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const run = this.runs.get(runId)
    if (!run) return { status: 404, body: { success: false, error: 'unknown run' } }
    this.log({ event: 'cancelled', run_id: runId, token: run.order.token })
    clearTimeout(run.timer)
    run.finished = true
    this.background(this.sendResult(run.order, { exit_code: 143, outcome: 'cancelled' }))
    return { status: 200, body: { success: true } }
  }

  private drop(runId: string, event: 'lost'): void {
    const run = this.runs.get(runId)
    if (!run) return
    clearTimeout(run.timer)
    this.runs.delete(runId)
    this.log({ event, run_id: runId, token: run.order.token })
  }

  /** Any failure to reach the server is status 0: hosts go on without it. */
  async post(path: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
    try {
      const response = await fetch(`${this.options.serverUrl()}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(this.options.apiKey && { 'x-api-key': this.options.apiKey }) },
        body: JSON.stringify(body),
        signal: AbortSignal.any([this.aborter.signal, AbortSignal.timeout(10_000)]),
      })
      const answer = { status: response.status, body: (await response.json()) as Record<string, unknown> }
      this.options.onPost?.(path, answer.status)
      return answer
    } catch {
      if (!this.aborter.signal.aborted) this.options.onPost?.(path, 0)
      return { status: 0, body: {} }
    }
  }

  private log(entry: Omit<LedgerEntry, 'at'>): void {
    this.ledger.push({ at: Date.now(), ...entry })
  }

  private background(work: Promise<unknown>): void {
    const kept = work.catch(() => undefined).finally(() => this.pending.delete(kept))
    this.pending.add(kept)
  }

  /** Dies like a host whose power was cut: no beat, no result, no unregister. */
  async kill(): Promise<void> {
    if (this.closed) return
    this.closed = true
    clearInterval(this.beatTimer)
    for (const run of this.runs.values()) clearTimeout(run.timer)
    this.aborter.abort()
    this.server?.closeAllConnections()
    await new Promise<void>((resolve) => (this.server ? this.server.close(() => resolve()) : resolve()))
    await Promise.allSettled(this.pending)
  }
}

const browserDevice = (hostName: string): RegisterHost['devices'][number] => ({
  device_id: 'host',
  device_name: `${hostName}_Host`,
  device_model: 'host_vnc',
  device_capabilities: {
    av: 'vnc_stream',
    remote: null,
    desktop: 'bash',
    web: 'playwright',
    power: null,
    ai: null,
    verification: [],
  },
  device_verification_types: { web: [] },
  device_action_types: { Web: [], Desktop: [] },
})
