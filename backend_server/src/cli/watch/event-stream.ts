import { eventRoutes, LabEvent, rooms } from '@virtualpytest/shared'
import type { ApiClient } from '../api-client.ts'
import { CliError } from '../cli-error.ts'

/** What came out of the stream: an event, or the number it begins after. */
export type StreamItem = { kind: 'event'; event: LabEvent } | { kind: 'start'; after: number }

export interface RunStream {
  /** The next thing; `idle` when nothing came for that long, and undefined at the end of the stream. */
  next(idleMs: number): Promise<StreamItem | 'idle' | undefined>
  close(): void
}

/** Servers send a sign of life every 15 s: silence for longer means that the connection is dead. */
const deadAfterMs = 45_000

/** Opens the live events of a run. Undefined where the server has no such stream, so that the caller asks again and again instead. */
export async function openRunStream(
  api: ApiClient,
  runId: string,
  after: number | undefined,
  signal: AbortSignal,
): Promise<RunStream | undefined> {
  const closing = new AbortController()
  const query = { rooms: rooms.run(runId), ...(after !== undefined && { after }) }
  let response: Response
  try {
    response = await api.open(eventRoutes.stream, { query, signal: AbortSignal.any([signal, closing.signal]) })
  } catch (error) {
    if (error instanceof CliError && [404, 405, 406, 501].includes(error.status ?? 0)) return undefined
    throw error
  }
  if (!response.body || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
    closing.abort()
    return undefined
  }
  const items = readItems(response.body)
  let pending: Promise<IteratorResult<StreamItem | 'alive'>> | undefined
  let lastSignAt = performance.now()
  return {
    async next(idleMs) {
      const until = performance.now() + idleMs
      for (;;) {
        pending ??= items.next()
        const result = await orIdle(pending, Math.max(0, until - performance.now()))
        if (result === 'idle') {
          if (performance.now() - lastSignAt < deadAfterMs) return 'idle'
          closing.abort()
          return undefined
        }
        pending = undefined
        lastSignAt = performance.now()
        if (result.done) return undefined
        if (result.value !== 'alive') return result.value
      }
    },
    close() {
      pending?.catch(() => undefined)
      closing.abort()
    },
  }
}

async function orIdle<T>(work: Promise<T>, ms: number): Promise<T | 'idle'> {
  let timer: NodeJS.Timeout | undefined
  const idle = new Promise<'idle'>((resolve) => {
    timer = setTimeout(() => resolve('idle'), ms)
  })
  try {
    return await Promise.race([work, idle])
  } finally {
    clearTimeout(timer)
  }
}

/** Server-sent events: blocks of lines with an empty line behind each. A cut connection ends the sequence like its end does. */
async function* readItems(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamItem | 'alive'> {
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const chunk of body) {
      text = (text + decoder.decode(chunk, { stream: true })).replaceAll('\r\n', '\n')
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      yield 'alive'
      for (const block of blocks) yield* readBlock(block)
    }
  } catch {
    // The caller opens a new one and goes on after the last number it saw.
  }
}

function* readBlock(block: string): Generator<StreamItem> {
  const lines = block.split('\n')
  const start = lines.map((line) => /^: ?after=(\d+)/.exec(line)?.[1]).find((number) => number !== undefined)
  if (start !== undefined) yield { kind: 'start', after: Number(start) }
  const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).replace(/^ /, ''))
  if (data.length === 0) return
  const event = LabEvent.safeParse(parseJson(data.join('\n')))
  if (event.success) yield { kind: 'event', event: event.data }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
