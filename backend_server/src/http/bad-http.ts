import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { LabError } from '@virtualpytest/shared'
import { errorBody } from './errors.ts'

const reasons: Record<number, string> = { 400: 'Bad Request', 408: 'Request Timeout', 431: 'Request Header Fields Too Large' }

/** What is not even HTTP, or has headers beyond all measure, reaches no route; it gets the same envelope. */
export function answerBadHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (socket.writable) {
    const failure = failureOf(error.code)
    const id = randomUUID()
    const body = JSON.stringify(errorBody(failure, id))
    socket.write(
      [
        `HTTP/1.1 ${failure.status} ${reasons[failure.status] ?? ''}`,
        'Content-Type: application/json; charset=utf-8',
        `Content-Length: ${Buffer.byteLength(body)}`,
        'Cache-Control: no-store',
        `X-Request-ID: ${id}`,
        'Connection: close',
        '',
        body,
      ].join('\r\n'),
    )
  }
  socket.destroy(error)
}

function failureOf(code: string | undefined): LabError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new LabError('payload_too_large', { status: 431, text: 'The address or the headers of this request are too long.' })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new LabError('validation_error', { status: 408, text: 'The request did not arrive in time.' })
  return new LabError('validation_error', { text: 'This is not a valid HTTP request.' })
}
