import type { Socket } from 'node:net'
import type { AdbDaemonConnection, AdbPacketData, AdbPacketInit } from '@yume-chan/adb'
import { AdbPacketHeader } from '@yume-chan/adb'
import { type Consumable, ReadableStream, WritableStream } from '@yume-chan/stream-extra'

/** The largest that both sides may send; more is not ADB, or a device that wants our memory. */
const mostPayloadBytes = 1024 * 1024
/** 'STLS': the device wants TLS with a paired certificate, as wireless debugging of Android 11 does. */
const startTls = 0x534c5453

/** The packets of a TCP socket as the library wants them: it knows the protocol and leaves the transport to its user. */
export function packetsOf(socket: Socket): AdbDaemonConnection {
  const packets = readPackets(socket)
  return {
    readable: new ReadableStream<AdbPacketData>({
      async pull(controller) {
        const next = await packets.next()
        if (next.done) controller.close()
        else controller.enqueue(next.value)
      },
      async cancel() {
        socket.destroy()
        await packets.return(undefined)
      },
    }),
    writable: new WritableStream<Consumable<AdbPacketInit>>({
      write: (chunk) => chunk.tryConsume((packet) => writePacket(socket, packet)),
      close: () => void socket.destroy(),
      abort: () => void socket.destroy(),
    }),
  }
}

async function* readPackets(socket: Socket): AsyncGenerator<AdbPacketData, undefined> {
  let chunks: Buffer[] = []
  let waiting = 0
  let needed: number = AdbPacketHeader.size
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    waiting += chunk.length
    while (waiting >= needed) {
      const bytes: Buffer = chunks.length === 1 ? (chunks[0] ?? chunk) : Buffer.concat(chunks)
      const length = payloadLength(bytes)
      needed = AdbPacketHeader.size + length
      chunks = [bytes]
      if (waiting < needed) break
      const payload = Uint8Array.prototype.slice.call(bytes, AdbPacketHeader.size, needed)
      yield {
        command: bytes.readUInt32LE(0),
        arg0: bytes.readUInt32LE(4),
        arg1: bytes.readUInt32LE(8),
        payload,
      }
      chunks = [bytes.subarray(needed)]
      waiting -= needed
      needed = AdbPacketHeader.size
    }
  }
}

function payloadLength(header: Buffer): number {
  const command = header.readUInt32LE(0)
  if (command === startTls) {
    throw new Error('it asks for wireless debugging with pairing, which is not supported: run "adb tcpip 5555" for it once')
  }
  const length = header.readUInt32LE(12)
  const isMagicRight = (command ^ 0xffffffff) === header.readInt32LE(20)
  if (!isMagicRight || length > mostPayloadBytes) throw new Error('what answers there is not an Android device')
  return length
}

/**
 * Never rejects: what cannot be written any more is told to the reading side, which ends then. The library writes some
 * packets without waiting for them, and a rejection that nobody sees would end the whole agent.
 */
function writePacket(socket: Socket, packet: AdbPacketInit): Promise<void> {
  const header = Buffer.alloc(AdbPacketHeader.size)
  AdbPacketHeader.serialize({ ...packet, payloadLength: packet.payload.length }, header)
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve()
    const whole = packet.payload.length > 0 ? Buffer.concat([header, packet.payload]) : header
    socket.write(whole, () => resolve())
  })
}
