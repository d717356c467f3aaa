/** What the server said, whatever it was. */
export interface ServerAnswer {
  status: number
  /** `{}` when the answer was not a JSON object. */
  body: Record<string, unknown>
}

/** No answer: refused, cut off or too late. The cause is for the log. */
export class ServerUnreachable extends Error {
  constructor(cause: unknown) {
    super(`The server cannot be reached: ${reasonOf(cause)}`, { cause })
    this.name = 'ServerUnreachable'
  }
}

export interface ServerClient {
  post(path: string, body: unknown, options: CallOptions): Promise<ServerAnswer>
  put(path: string, data: Buffer, headers: Record<string, string>, options: CallOptions): Promise<ServerAnswer>
}

export interface CallOptions {
  timeoutMs: number
  signal?: AbortSignal
}

/** Calls to one server. A redirect is not followed: it would carry the key elsewhere and turn a POST into a GET. */
export function createServerClient({ serverUrl, apiKey }: { serverUrl: string; apiKey: string | undefined }): ServerClient {
  const keyHeader: Record<string, string> = apiKey === undefined ? {} : { 'x-api-key': apiKey }

  async function call(
    method: string,
    path: string,
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string>,
    options: CallOptions,
  ) {
    const timeout = AbortSignal.timeout(options.timeoutMs)
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
    try {
      const response = await fetch(`${serverUrl}${path}`, {
        method,
        body,
        signal,
        redirect: 'manual',
        headers: { ...keyHeader, ...headers },
      })
      const text = await response.text()
      return { status: response.status, body: parseObject(text) }
    } catch (error) {
      throw new ServerUnreachable(error)
    }
  }
  return {
    post: (path, body, options) => call('POST', path, JSON.stringify(body), { 'content-type': 'application/json' }, options),
    put: (path, data, headers, options) => call('PUT', path, new Uint8Array(data), headers, options),
  }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(cause instanceof Error)) return 'unknown cause'
  return (cause as NodeJS.ErrnoException).code ?? cause.message
}
