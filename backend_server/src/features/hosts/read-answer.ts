import type { Readable } from 'node:stream'
import { LabError } from '@virtualpytest/shared'
import { failureStatus } from './host-failures.ts'
import { HostConnectionError } from './host-transport.ts'

export const largestAnswer = 64 * 1024 * 1024

/** The whole answer. One that breaks off had begun. */
export async function readBytes(body: Readable, limit: number, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > limit)
        throw new LabError('host_error', { text: 'The answer of the host is too large.', errorType: 'host_error' })
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof LabError || error instanceof HostConnectionError) throw error
    if (signal.aborted) throw signal.reason
    const code = (error as NodeJS.ErrnoException).code ?? 'connection failed'
    throw new HostConnectionError(code, { begun: true, cause: error })
  }
  return Buffer.concat(chunks)
}

export const readText = async (body: Readable, limit: number, signal: AbortSignal): Promise<string> =>
  (await readBytes(body, limit, signal)).toString('utf8')

export function parseObject(text: string, status: number): Record<string, unknown> {
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
