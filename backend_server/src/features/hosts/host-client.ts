import { LabError } from '@virtualpytest/shared'
import { Agent, request } from 'undici'
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
  const agent = new Agent({ connect: { timeout: connectTimeoutMs }, keepAliveTimeout: 10_000, maxResponseSize: largestAnswer })

  async function call(host: HostAddress, { method, path, query, body, timeoutMs, signal }: HostCall): Promise<HostAnswer> {
    const url = new URL(`${host.baseUrl}${path}`)
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value)
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      const response = await request(url, {
        dispatcher: agent,
        method,
        headers: {
          ...(host.key !== undefined && { 'x-api-key': host.key }),
          ...(method !== 'GET' && { 'content-type': 'application/json' }),
        },
        body: method === 'GET' ? null : JSON.stringify(body ?? {}),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        signal: signal ? AbortSignal.any([deadline, signal]) : deadline,
      })
      const text = await response.body.text()
      options.onReachable?.(host.hostName, true)
      return { status: response.statusCode, body: parseObject(text, response.statusCode) }
    } catch (error) {
      throw toHostError(error, host.hostName, timeoutMs)
    }
  }

  function toHostError(error: unknown, hostName: string, timeoutMs: number): unknown {
    if (error instanceof LabError) return error
    const { code, name } = error as { code?: string; name?: string }
    if (name === 'TimeoutError' || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
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

  return { call, close: () => agent.destroy() }
}
export type HostClient = ReturnType<typeof createHostClient>

function parseObject(text: string, status: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // answered below
  }
  throw new LabError('host_error', {
    text: 'Invalid JSON response from host',
    errorType: 'host_error',
    extra: { raw_response: text.slice(0, 500), host_status: status },
  })
}

/** Failures of a call that never reached the host: it is safe to say that nothing was started. */
export const neverReached = (error: unknown): boolean =>
  error instanceof LabError && error.code === 'host_unreachable' && isRefused(error.cause)

const isRefused = (cause: unknown): boolean => {
  const code = (cause as { code?: string } | undefined)?.code
  return (
    code !== undefined &&
    ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'].includes(code)
  )
}
