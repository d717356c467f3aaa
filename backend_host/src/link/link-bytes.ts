import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

/** Below this much on its way to the server, more is taken at once; above it the writer waits. */
const mostUnsent = 256 * 1024
/** What is written together up to this size travels as one message. */
const largestMessage = 64 * 1024

/**
 * A WebSocket as a stream of bytes. What HTTP/2 writes together (heads, frames and their contents are single pieces) goes out
 * as one message, and the writer is not held up until it has left: both halve the time of a short call.
 */
export function linkBytes(socket: WebSocket): Duplex {
  function send(data: Buffer, done: (error?: Error | null) => void): void {
    if (socket.bufferedAmount > mostUnsent) {
      socket.send(data, done)
      return
    }
    socket.send(data)
    done()
  }
  const bytes = new Duplex({
    allowHalfOpen: false,
    read() {
      if (socket.isPaused) socket.resume()
    },
    write(chunk: Buffer, _encoding, done) {
      send(chunk, done)
    },
    writev(parts, done) {
      const chunks = parts.map(({ chunk }) => chunk as Buffer)
      const size = chunks.reduce((sum, { length }) => sum + length, 0)
      if (size <= largestMessage) {
        send(Buffer.concat(chunks, size), done)
        return
      }
      const last = chunks.pop()
      for (const chunk of chunks) socket.send(chunk)
      if (last) send(last, done)
      else done()
    },
    final(done) {
      socket.close()
      done()
    },
    destroy(error, done) {
      // One that is closing has said why, and ends by itself.
      if (socket.readyState === socket.OPEN) socket.terminate()
      done(error)
    },
  })
  socket.on('message', (data: Buffer) => {
    if (!bytes.destroyed && !bytes.push(data)) socket.pause()
  })
  socket.once('close', () => bytes.destroy())
  return bytes
}
