import http from 'node:http'
import https from 'node:https'
import { LabError } from '@virtualpytest/shared'
import type { HostAddress } from './host.store.ts'

export interface HostCall {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Begins with /host/. */
  path: string
  query?: Record<string, string>
  body?: Record<string, unknown>
  timeoutMs: number
  signal?: AbortSignal
}

export interface HostAnswer {
  status: number
  body: Record<string, unknown>
}

const connectTimeoutMs = 5000
const largestAnswer = 64 * 1024 * 1024

/**
 * Calls to hosts: only to the pinned URL, with that host's key, never following a redirect (it would carry the key elsewhere).
 * Transport failures become the documented errors; any JSON answer of the host, whatever its status, is returned.
 */
export function createHostClient(options: { onReachable?: (hostName: string, reachable: boolean) => void } = {}) {
  /*
   * Only reads use kept connections. One that died while it was kept looks like a call cut in the middle, and nobody could tell
   * whether the host had begun; original hosts, which serve one connection at a time, are spared an idle one as well.
   */
  const agents = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) }

  async function call(host: HostAddress, { method, path, query, body, timeoutMs, signal }: HostCall): Promise<HostAnswer> {
    const url = new URL(`${host.baseUrl}${path}`)
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value)
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      const { status, text } = await send(url, {
        method,
        body: method === 'GET' ? undefined : JSON.stringify(body ?? {}),
        key: host.key,
        signal: signal ? AbortSignal.any([deadline, signal]) : deadline,
      })
      options.onReachable?.(host.hostName, true)
      return { status, body: parseObject(text, status) }
    } catch (error) {
      throw toHostError(deadline.aborted ? deadline.reason : error, host.hostName, timeoutMs)
    }
  }

  function send(
    url: URL,
    { method, body, key, signal }: { method: string; body: string | undefined; key: string | undefined; signal: AbortSignal },
  ): Promise<{ status: number; text: string }> {
    const secure = url.protocol === 'https:'
    return new Promise((resolve, reject) => {
      const request = (secure ? https : http).request(url, {
        method,
        signal,
        agent: method === 'GET' && (secure ? agents['https:'] : agents['http:']),
        headers: {
          accept: 'application/json',
          ...(key !== undefined && { 'x-api-key': key }),
          ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
      })
      const connecting = setTimeout(
        () => request.destroy(Object.assign(new Error('connect timeout'), { code: 'ETIMEDOUT' })),
        connectTimeoutMs,
      )
      request.once('socket', (socket) => {
        // A kept connection never connects again: a listener on it would stay for ever.
        if (!socket.connecting) clearTimeout(connecting)
        else socket.once(secure ? 'secureConnect' : 'connect', () => clearTimeout(connecting))
      })
      request.once('close', () => clearTimeout(connecting))
      request.once('error', reject)
      request.once('response', (response) => {
        readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject)
      })
      request.end(body)
    })
  }

  function toHostError(error: unknown, hostName: string, timeoutMs: number): unknown {
    if (error instanceof LabError) return error
    const { code, name } = error as { code?: string; name?: string }
    if (name === 'TimeoutError') {
      return new LabError('host_timeout', {
        text: `Request to host timed out (timeout=${Math.round(timeoutMs / 1000)}s)`,
        errorType: 'network_error',
        cause: error,
      })
    }
    if (name === 'AbortError') return error
    options.onReachable?.(hostName, false)
    return new LabError('host_unreachable', {
      text: `Could not connect to host: ${code ?? 'connection failed'}`,
      errorType: 'network_error',
      cause: error,
    })
  }

  function close(): void {
    agents['http:'].destroy()
    agents['https:'].destroy()
  }

  return { call, close }
}
export type HostClient = ReturnType<typeof createHostClient>

async function readText(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > largestAnswer)
      throw new LabError('host_error', { text: 'The answer of the host is too large.', errorType: 'host_error' })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseObject(text: string, status: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // answered below
  }
  throw new LabError('host_error', {
    text: 'Invalid JSON response from host',
    errorType: 'host_error',
    status: failureStatus(status),
    extra: { raw_response: text.slice(0, 500), host_status: status },
  })
}

/**
 * The status with which a host's failure is answered: its own, so that callers can tell them apart, but never its 401, which
 * a browser would take for ours, and never a success.
 */
export const failureStatus = (status: number): number => (status >= 400 && status !== 401 ? status : 502)

/** Failures of a call that never reached the host: it is safe to say that nothing was started. */
export const neverReached = (error: unknown): boolean =>
  error instanceof LabError && error.code === 'host_unreachable' && isRefused(error.cause)

const isRefused = (cause: unknown): boolean => {
  const code = (cause as { code?: string } | undefined)?.code
  return (
    code !== undefined && ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT'].includes(code)
  )
}
