import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'

export interface SeenRequest {
  method: string
  path: string
  query: Record<string, string>
  headers: IncomingHttpHeaders
  body: Record<string, unknown>
}

export interface ScriptedAnswer {
  status: number
  body?: unknown
  /** Sent as it is, where the answer shall not be JSON. */
  text?: string
  headers?: Record<string, string>
}

/** An HTTP server in the place of a host, which answers what a test tells it to and remembers what it was asked. */
export async function startScriptedHost(
  t: TestContext,
  answer: (request: SeenRequest) => ScriptedAnswer | 'hang up' | 'say nothing',
) {
  const seen: SeenRequest[] = []
  const server: Server = createServer((request, response) => {
    const reply = (sent: string): void => {
      const url = new URL(request.url ?? '/', 'http://host')
      const one: SeenRequest = {
        method: request.method ?? '',
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
        body: sent === '' ? {} : (JSON.parse(sent) as Record<string, unknown>),
      }
      seen.push(one)
      const said = answer(one)
      if (said === 'say nothing') return
      if (said === 'hang up') {
        request.socket.destroy()
        return
      }
      response.writeHead(said.status, { 'content-type': 'application/json', ...said.headers })
      response.end(said.text ?? JSON.stringify(said.body ?? {}))
    }
    text(request).then(reply, () => request.socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  t.after(stop)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, stop }
}
