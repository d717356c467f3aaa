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
export async function startScriptedHost(t: TestContext, answer: (request: SeenRequest) => ScriptedAnswer | 'hang up') {
  const seen: SeenRequest[] = []
  const server: Server = createServer((request, response) => {
    void text(request).then((sent) => {
      const url = new URL(request.url ?? '/', 'http://host')
      const one: SeenRequest = {
        method: request.method ?? '',
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
        body: sent === '' ? {} : (JSON.parse(sent) as Record<string, unknown>),
      }
      seen.push(one)
      const reply = answer(one)
      if (reply === 'hang up') return request.socket.destroy()
      response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers })
      return response.end(reply.text ?? JSON.stringify(reply.body ?? {}))
    })
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
