import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type pg from 'pg'

/*
 * COPY over the driver, which knows the messages of the protocol but offers no call for them. Both directions hold the other
 * side back when they cannot keep up, so a table of any size needs a few hundred kB of memory.
 */

/** What the driver's connection has besides its published types. */
interface CopyWire {
  readonly stream: Duplex
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
}

/** What the driver calls on a statement while it runs. */
interface WireStatement extends pg.Submittable {
  handleError(error: Error): void
  handleCommandComplete(message: { text: string }): void
  handleReadyForQuery(): void
}

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new Error('the rows got lost on the way', { cause: error })

const batchBytes = 128 * 1024

/**
 * Hands the rows of `copy ... to stdout` to `sink` in pieces that end with a row. A piece is only there until `sink` resolves:
 * its memory is used again. Returns the number of rows.
 */
export function copyOut(client: pg.Client, text: string, sink: (chunk: Buffer) => Promise<void>): Promise<number> {
  return new Promise((resolve, reject) => {
    let wire: CopyWire | undefined
    // Used again and again: fresh ones would be garbage faster than it is collected.
    const spare: Buffer[] = []
    let batch: Buffer = Buffer.allocUnsafe(batchBytes)
    let used = 0
    let waiting = 0
    let rows = 0
    let failure: Error | undefined
    let delivered = Promise.resolve()

    const deliver = (chunk: Buffer): void => {
      waiting += 1
      wire?.stream.pause()
      delivered = delivered.then(async () => {
        if (failure) return
        await sink(chunk)
        if (chunk.buffer.byteLength === batchBytes) spare.push(Buffer.from(chunk.buffer))
        waiting -= 1
        if (waiting === 0) wire?.stream.resume()
      })
      delivered = delivered.catch((error: unknown) => {
        failure = asError(error)
        // The server would go on sending; only the end of the connection stops it.
        wire?.stream.destroy(failure)
        reject(failure)
      })
    }
    const flush = (): void => {
      if (used === 0) return
      deliver(batch.subarray(0, used))
      batch = spare.pop() ?? Buffer.allocUnsafe(batchBytes)
      used = 0
    }
    const statement: WireStatement & { handleCopyData(message: { chunk: Buffer }): void } = {
      submit(connection) {
        wire = connection as unknown as CopyWire
        wire.query(text)
      },
      // The driver uses the memory of a message again, so it is copied here.
      handleCopyData({ chunk }) {
        if (used + chunk.length > batchBytes) flush()
        if (chunk.length > batchBytes) {
          deliver(Buffer.from(chunk))
          return
        }
        used += chunk.copy(batch, used)
      },
      handleCommandComplete(message) {
        rows = Number(/\d+/.exec(message.text)?.[0] ?? 0)
      },
      handleReadyForQuery() {
        flush()
        delivered.then(() => resolve(rows), reject)
      },
      handleError(error) {
        delivered.then(() => reject(failure ?? error), reject)
      },
    }
    client.query(statement)
  })
}

/** Feeds `copy ... from stdin`. Returns the number of rows that the server took. */
export function copyIn(client: pg.Client, text: string, source: AsyncIterable<Buffer>): Promise<number> {
  return new Promise((resolve, reject) => {
    let rows = 0
    let sourceError: Error | undefined
    let pumping = Promise.resolve()
    const over = new AbortController()

    const pump = async (wire: CopyWire): Promise<void> => {
      try {
        for await (const chunk of source) {
          if (over.signal.aborted) return
          wire.sendCopyFromChunk(chunk)
          if (wire.stream.writableNeedDrain) await once(wire.stream, 'drain', { signal: over.signal })
        }
        wire.endCopyFrom()
      } catch (error) {
        if (over.signal.aborted) return
        sourceError = asError(error)
        wire.sendCopyFail('the backup could not be read')
      }
    }
    const statement: WireStatement & { handleCopyInResponse(connection: unknown): void } = {
      submit(connection) {
        connection.query(text)
      },
      handleCopyInResponse(connection) {
        pumping = pump(connection as CopyWire)
      },
      handleCommandComplete(message) {
        rows = Number(/\d+/.exec(message.text)?.[0] ?? 0)
      },
      handleReadyForQuery() {
        pumping.then(() => resolve(rows), reject)
      },
      handleError(error) {
        over.abort()
        pumping.then(() => reject(sourceError ?? error), reject)
      },
    }
    client.query(statement)
  })
}
