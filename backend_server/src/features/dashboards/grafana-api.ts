import { serverHeaders } from './identity.ts'
import type { SignOnKey } from './sign-on-key.ts'

const timeoutMs = 10_000

/** Grafana answered something else than expected. */
export class GrafanaApiError extends Error {
  readonly status: number
  constructor(method: string, path: string, status: number, text: string) {
    super(`Grafana answered ${method} ${path} with ${status}: ${text.slice(0, 200)}`)
    this.name = 'GrafanaApiError'
    this.status = status
  }
}

export interface GrafanaApi {
  /** The answer; undefined for 404. Throws GrafanaApiError for other failures, and what fetch throws when nobody answers. */
  call: <Answer>(
    organization: 'all' | number,
    method: 'GET' | 'POST' | 'PUT',
    path: `/api/${string}`,
    body?: unknown,
  ) => Promise<Answer | undefined>
}

/** Grafana's HTTP API as this server itself: its administrator, or the administrator of one organization. */
export function createGrafanaApi(options: { address: URL; key: SignOnKey; signal?: AbortSignal }): GrafanaApi {
  return {
    async call<Answer>(organization: 'all' | number, method: string, path: string, body?: unknown): Promise<Answer | undefined> {
      const response = await fetch(new URL(`/grafana${path}`, options.address), {
        method,
        headers: {
          ...serverHeaders(options.key, organization),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      })
      const text = await response.text()
      if (response.status === 404) return undefined
      if (!response.ok) throw new GrafanaApiError(method, path, response.status, text)
      return JSON.parse(text) as Answer
    },
  }
}
