import { ApiError, type Route } from '@virtualpytest/shared'
import type { z } from 'zod'
import { CliError } from './cli-error.ts'
import type { CliConfig } from './config.ts'

type Part<R extends Route, K extends 'params' | 'query' | 'body'> = R[K] extends z.ZodType ? z.input<R[K]> : undefined
export type Answer<R extends Route> = {
  [S in keyof R['answers']]: R['answers'][S] extends z.ZodType ? z.output<R['answers'][S]> : never
}[keyof R['answers']]

export interface CallInput<R extends Route> {
  params?: Part<R, 'params'>
  query?: Part<R, 'query'>
  body?: Part<R, 'body'>
  headers?: Record<string, string>
  signal?: AbortSignal
}

export interface ApiClient {
  readonly server: string
  /** Calls a route of the contract and returns its answer as it came, so that fields of a newer server are kept. */
  call<R extends Route>(route: R, input?: CallInput<R>): Promise<Answer<R>>
  /** The raw response of a GET, for streams. */
  open<R extends Route>(route: R, input: CallInput<R>): Promise<Response>
  /** An address of the server as one to visit. */
  link(path: string): string
}

const callTimeoutMs = 30_000

export function createApiClient({ server, token, teamId }: CliConfig): ApiClient {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }

  async function send<R extends Route>(route: R, input: CallInput<R>, signal: AbortSignal): Promise<Response> {
    const url = new URL(server + fillPath(route.path, input.params))
    for (const [name, value] of Object.entries(input.query ?? {})) {
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
        url.searchParams.set(name, `${value}`)
    }
    if (teamId !== undefined) url.searchParams.set('team_id', teamId)
    const body = input.body === undefined ? undefined : JSON.stringify(input.body)
    try {
      return await fetch(url, {
        method: route.method,
        headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }), ...input.headers },
        ...(body !== undefined && { body }),
        redirect: 'error',
        signal,
      })
    } catch (error) {
      if (input.signal?.aborted) throw error
      throw unreachable(server, error)
    }
  }

  return {
    server,
    link: (path) => (/^https?:\/\//.test(path) ? path : server + path),
    async call(route, input = {}) {
      const timeout = AbortSignal.timeout(callTimeoutMs)
      const response = await send(route, input, input.signal ? AbortSignal.any([input.signal, timeout]) : timeout)
      const body = await readJson(response, server)
      if (!response.ok) throw refusal(body, response.status, token !== undefined)
      const schema = route.answers[response.status]
      if (!schema?.safeParse(body).success) {
        throw new CliError(`${server} answered ${route.method} ${route.path} with something this version does not understand.`, {
          hints: ['Is it a VirtualPyTest server of the same version?'],
        })
      }
      return body as Answer<typeof route>
    },
    async open(route, input) {
      const response = await send(route, input, input.signal ?? AbortSignal.timeout(callTimeoutMs))
      if (!response.ok) throw refusal(await readJson(response, server), response.status, token !== undefined)
      return response
    },
  }
}

const fillPath = (path: string, params: unknown): string =>
  path.replace(/\{(\w+)\}/g, (_all, name: string) =>
    encodeURIComponent(String((params as Record<string, unknown> | undefined)?.[name])),
  )

async function readJson(response: Response, server: string): Promise<unknown> {
  try {
    return await response.json()
  } catch (error) {
    // Something between us and the server answers, or the answer was cut off.
    throw new CliError(`${server} answered ${response.status} with something that is not JSON.`, {
      status: response.ok ? 502 : response.status,
      hints: ['Is this the address of a VirtualPyTest server?'],
      cause: error,
    })
  }
}

/** No answer at all: status 0 tells it from a refusal. */
function unreachable(server: string, error: unknown): CliError {
  return new CliError(`No server answers at ${server} (${networkReason(error)}).`, {
    status: 0,
    hints: [
      'Is it running? Start a lab with: npm start',
      'Is it another server? Set VPT_SERVER, for example VPT_SERVER=https://lab.example.org',
    ],
    cause: error,
  })
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'there is no machine of this name',
  EAI_AGAIN: 'the name could not be looked up',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  ETIMEDOUT: 'no answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'no answer in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  EHOSTUNREACH: 'no way to that machine',
}

function networkReason(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'no answer in time'
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const { code, message } = cause as { code?: unknown; message?: unknown }
  const first = cause instanceof AggregateError ? (cause.errors[0] as { code?: unknown } | undefined)?.code : undefined
  const known = [code, first].find((one): one is string => typeof one === 'string')
  return known === undefined ? String(message ?? cause) : (reasons[known] ?? known)
}

const hintsByCode: Record<string, (hasToken: boolean) => string> = {
  unauthorized: (hasToken) =>
    hasToken
      ? 'The token in VPT_TOKEN is wrong, has expired or was revoked.'
      : 'This server wants a token: set VPT_TOKEN. An admin makes one with: vpt token create NAME',
  forbidden: () => 'The role of the token in VPT_TOKEN does not include this.',
  device_locked: () => 'Who has it: vpt who. Wait for it: vpt take --wait; a run waits with --queue',
  device_not_found: () => 'What there is: vpt devices',
  host_not_found: () => 'What there is: vpt devices',
  script_not_found: () => 'What there is: vpt scripts',
  run_not_found: () => 'What there is: vpt runs',
  host_offline: () => 'State of the hosts: vpt devices',
  not_ready: () => 'The server is starting. Try again in a moment.',
}

function refusal(body: unknown, status: number, hasToken: boolean): CliError {
  const parsed = ApiError.safeParse(body)
  if (!parsed.success) return new CliError(`The server answered ${status} without saying why.`, { status })
  const { data } = parsed
  const hint = Object.hasOwn(hintsByCode, data.code) ? hintsByCode[data.code]?.(hasToken) : undefined
  return new CliError(data.error, { status, answer: data, hints: hint === undefined ? [] : [hint] })
}
