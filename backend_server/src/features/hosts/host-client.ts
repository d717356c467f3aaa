import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { LabError } from '@virtualpytest/shared'
import { type AddressRules, createAddressRules } from './address-rules.ts'
import { type CircuitOptions, createCircuits } from './circuit.ts'
import { createDirectTransport } from './direct-transport.ts'
import type { HostAddress } from './host.store.ts'
import { HostConnectionError, type HostReply, type HostRequest, type HostTransport } from './host-transport.ts'
import { largestAnswer, parseObject, readText } from './read-answer.ts'

export interface HostCall {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Begins with /host/. */
  path: string
  query?: Record<string, string>
  body?: Record<string, unknown>
  timeoutMs: number
  signal?: AbortSignal
  /** Largest answer in bytes; 64 MB when absent. */
  largestAnswer?: number
}

export interface HostAnswer {
  status: number
  body: Record<string, unknown>
}

/** A read whose answer is passed on while it arrives. */
export interface HostRead {
  method: 'GET' | 'HEAD'
  path: string
  query?: Record<string, string>
  headers?: Record<string, string>
  /** Until the first byte of the answer. */
  timeoutMs: number
  signal?: AbortSignal
  /** Somebody looks on for as long as they like: it is counted by itself, so that viewers never keep calls out. */
  isWatching?: boolean
}

export interface HostStream {
  status: number
  headers: IncomingHttpHeaders
  /** To be read to its end, or destroyed, which ends the call on the host too. */
  body: Readable
}

/** The other way to some hosts; undefined when this host has none at the moment. */
export interface HostLinks {
  find: (host: HostAddress, how?: { fresh: boolean }) => Promise<HostTransport | undefined>
  /** Waits a moment for the same agent to link again. Undefined when it does not, or another one came in its place. */
  again: (host: HostAddress, lost: HostTransport, signal: AbortSignal) => Promise<HostTransport | undefined>
}

export interface HostClientOptions {
  onReachable?: (hostName: string, reachable: boolean) => void
  mayCall?: AddressRules
  connectTimeoutMs?: number
  circuit?: CircuitOptions
  links?: HostLinks
  /** Calls to one host at a time; the rest is refused instead of gathering behind a host that hangs. */
  mostCalls?: number
  /** Live pictures of one host at a time. */
  mostViewers?: number
}

/**
 * Calls to hosts: over the host's own link where it has one, else only to the pinned URL; with that host's key, never
 * following a redirect (it would carry the key elsewhere). Transport failures become the documented errors; any JSON answer
 * of the host, whatever its status, is returned.
 */
export function createHostClient(options: HostClientOptions = {}) {
  const { links, mostCalls = 128, mostViewers = 64, connectTimeoutMs = 5000 } = options
  const mayCall = options.mayCall ?? createAddressRules(['loopback', 'private', 'public'])
  const direct = createDirectTransport({ mayCall, connectTimeoutMs })
  const circuits = createCircuits(options.circuit)
  const openCalls = new Map<string, number>()
  const openViews = new Map<string, number>()

  async function call(
    host: HostAddress,
    { method, path, query, body, timeoutMs, signal, ...limits }: HostCall,
  ): Promise<HostAnswer> {
    const deadline = AbortSignal.timeout(timeoutMs)
    const request: HostRequest = {
      method,
      path: pathWith(path, query),
      headers: {
        accept: 'application/json',
        'x-request-id': randomUUID(),
        ...(host.key !== undefined && { 'x-api-key': host.key }),
        ...(method !== 'GET' && { 'content-type': 'application/json' }),
      },
      body: method === 'GET' ? undefined : JSON.stringify(body ?? {}),
      signal: signal ? AbortSignal.any([deadline, signal]) : deadline,
    }
    const leave = enterHost(host)
    try {
      // The answer is read inside: one that breaks off in the middle is a call that failed.
      const answer = await withRepeat(host, request, async (transport) => {
        const reply = await transport(host, request)
        return { status: reply.status, text: await readText(reply.body, limits.largestAnswer ?? largestAnswer, request.signal) }
      })
      options.onReachable?.(host.hostName, true)
      return { status: answer.status, body: parseObject(answer.text, answer.status) }
    } catch (error) {
      throw toHostError(error, host.hostName, timeoutMs)
    } finally {
      leave()
    }
  }

  async function stream(host: HostAddress, { method, path, query, headers, timeoutMs, ...more }: HostRead): Promise<HostStream> {
    const end = new AbortController()
    const late = setTimeout(() => end.abort(new DOMException('no answer in time', 'TimeoutError')), timeoutMs)
    const request: HostRequest = {
      method,
      path: pathWith(path, query),
      headers: { ...headers, ...(host.key !== undefined && { 'x-api-key': host.key }) },
      body: undefined,
      signal: more.signal ? AbortSignal.any([end.signal, more.signal]) : end.signal,
    }
    const leave = enterHost(host, more.isWatching)
    try {
      const reply = await withRepeat(host, request, (transport) => transport(host, request))
      reply.body.once('close', leave)
      options.onReachable?.(host.hostName, true)
      return reply
    } catch (error) {
      leave()
      throw toHostError(error, host.hostName, timeoutMs)
    } finally {
      clearTimeout(late)
    }
  }

  /** Every failure that may be repeated is repeated once: reads, and on our agents everything, which they know by its id. */
  async function withRepeat<T>(
    host: HostAddress,
    request: HostRequest,
    send: (transport: HostTransport) => Promise<T>,
  ): Promise<T> {
    const link = await links?.find(host)
    const first = link ?? directTransport
    try {
      return await send(first)
    } catch (error) {
      if (!(error instanceof HostConnectionError) || request.signal.aborted) throw error
      const second = await nextWay(host, request, { link, error })
      if (!second) throw error
      return send(second)
    }
  }

  async function nextWay(
    host: HostAddress,
    request: HostRequest,
    { link, error }: { link: HostTransport | undefined; error: HostConnectionError },
  ): Promise<HostTransport | undefined> {
    const mayRepeat = request.method === 'GET' || request.method === 'HEAD' || host.repeats === true || !error.begun
    if (link) {
      const again = mayRepeat ? await links?.again(host, link, request.signal) : undefined
      // Over its URL the host is the same program only as long as nobody else answers there: only what has not begun goes.
      return again ?? (error.begun || host.linkOnly ? undefined : directTransport)
    }
    if (!error.begun) return links?.find(host, { fresh: true })
    return mayRepeat ? directTransport : undefined
  }

  /** The pinned URL, behind the circuit of its host. */
  const directTransport: HostTransport = async (host, request) => {
    if (host.linkOnly) {
      throw new HostConnectionError('LINK_DOWN', { begun: false, text: 'the link of this host is down and it has no other way' })
    }
    const key = `${host.hostName} ${host.baseUrl}`
    const entry = circuits.enter(key)
    if (entry.open) {
      const seconds = Math.ceil(entry.retryInMs / 1000)
      throw new HostConnectionError('CIRCUIT_OPEN', {
        begun: false,
        text: `it could not be reached several times; the next try is in ${seconds} s`,
      })
    }
    try {
      const reply: HostReply = await direct.send(host, request)
      circuits.connected(key)
      return reply
    } catch (error) {
      // What cut a connection off had connected before. An address that is refused says nothing of the host, and each caller hears why.
      if (error instanceof HostConnectionError && error.code !== 'ADDRESS_REFUSED') {
        circuits[error.begun ? 'connected' : 'failed'](key)
      } else if (entry.probe) circuits.undecided(key)
      throw error
    }
  }

  function enterHost(host: HostAddress, isWatching = false): () => void {
    const open = isWatching ? openViews : openCalls
    const { hostName } = host
    const count = open.get(hostName) ?? 0
    if (isWatching && count >= mostViewers) throw new LabError('too_many_viewers')
    if (!isWatching && count >= mostCalls) throw new LabError('host_busy', { errorType: 'network_error' })
    open.set(hostName, count + 1)
    let left = false
    return () => {
      if (left) return
      left = true
      const rest = (open.get(hostName) ?? 1) - 1
      if (rest === 0) open.delete(hostName)
      else open.set(hostName, rest)
    }
  }

  function toHostError(error: unknown, hostName: string, timeoutMs: number): unknown {
    if (error instanceof LabError) return error
    if ((error as { name?: string }).name === 'TimeoutError') {
      return new LabError('host_timeout', {
        text: `Request to host timed out (timeout=${Math.round(timeoutMs / 1000)}s)`,
        errorType: 'network_error',
        cause: error,
      })
    }
    if (!(error instanceof HostConnectionError)) return error
    if (error.code === 'ADDRESS_REFUSED') {
      return new LabError('host_address_refused', { text: error.message, errorType: 'network_error', cause: error })
    }
    if (error.code === 'LINK_LOST') return new LabError('host_link_lost', { errorType: 'network_error', cause: error })
    options.onReachable?.(hostName, false)
    return new LabError('host_unreachable', {
      text: `Could not connect to host: ${error.message}`,
      errorType: 'network_error',
      cause: error,
    })
  }

  return {
    call,
    stream,
    /** A host that has just registered is worth a try, whatever happened before. */
    forgetFailures: (host: HostAddress): void => circuits.forget(`${host.hostName} ${host.baseUrl}`),
    close: (): void => direct.close(),
  }
}
export type HostStreams = ReturnType<typeof createHostClient>
/** What most features need of it. */
export type HostClient = Pick<HostStreams, 'call' | 'close'>

/** One place where a path is put together, so that none can carry a second line or leave /host/. */
function pathWith(path: string, query: Record<string, string> | undefined): string {
  const url = new URL(path, 'http://host')
  if (!url.pathname.startsWith('/host/') || url.host !== 'host') {
    throw new LabError('internal', { cause: new Error('a call to a host must begin with /host/') })
  }
  for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value)
  return `${url.pathname}${url.search}`
}
