import assert from 'node:assert/strict'
import http from 'node:http'
import { errorCodes } from '@virtualpytest/shared'

export interface RawAnswer {
  status: number
  headers: http.IncomingHttpHeaders
  text: string
  body: Record<string, unknown>
}

export interface RawRequest {
  headers?: Record<string, string>
  body?: string | Buffer
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })

/** Sends the path exactly as it is written; `fetch` would resolve dots and encode characters first. A stream is cut at its start. */
export function rawCall(base: string, method: string, path: string, { headers = {}, body }: RawRequest = {}): Promise<RawAnswer> {
  const { hostname, port } = new URL(base)
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const request = http.request({ hostname, port, method, path, agent, headers: { ...length, ...headers }, timeout: 20_000 })
    request.once('timeout', () => request.destroy(new Error(`no answer to ${method} ${path.slice(0, 100)}`)))
    request.once('error', reject)
    request.once('response', (response) => {
      const chunks: Buffer[] = []
      const finish = () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parseBody(text) })
      }
      if (response.headers['content-type']?.startsWith('text/event-stream')) {
        finish()
        request.destroy()
        return
      }
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('end', finish)
      response.once('error', reject)
    })
    request.end(body)
  })
}

export const closeRawConnections = (): void => agent.destroy()

function parseBody(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Every failure has the one envelope, with an id that the header repeats and the log has too. */
export function assertEnvelope(
  answer: Pick<RawAnswer, 'status' | 'body' | 'text'> & { headers: RawAnswer['headers'] | Headers },
  what: string,
): void {
  const { body } = answer
  const shown = `${what} answered ${answer.status} ${answer.text.slice(0, 300)}`
  assert.equal(body.success, false, shown)
  assert.ok(typeof body.error === 'string' && body.error.length > 0, shown)
  assert.equal(body.message, body.error, shown)
  assert.ok(typeof body.code === 'string' && Object.hasOwn(errorCodes, body.code), `a code that is not in the table: ${shown}`)
  assert.match(String(body.request_id), uuid, shown)
  const header = answer.headers instanceof Headers ? answer.headers.get('x-request-id') : answer.headers['x-request-id']
  assert.equal(header, body.request_id, `x-request-id differs: ${shown}`)
}
