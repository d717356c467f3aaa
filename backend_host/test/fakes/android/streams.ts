import { commandOf, type Packet } from './wire.ts'

export interface ShellOutput {
  stdout: Buffer
  stderr: Buffer
  exitCode: number
}
export interface Service {
  /** Output, errors and exit code in frames of their own (shell_v2), or all in one. */
  isFramed: boolean
  result: Promise<ShellOutput>
}

interface Stream {
  own: number
  theirs: number
  /** Bytes that may be sent now; without delayed acknowledgement one packet of any size at a time. */
  room: number
  isClosed: boolean
  onRoom: (() => void) | null
}

const empty = Buffer.alloc(0)

/** The streams of one connection: OPEN, OKAY, WRTE and CLSE as a device uses them. */
export function createStreams(options: {
  send: (packet: Packet) => void
  mostBytes: number
  isDelayed: () => boolean
  serve: (service: string) => Service | null
}) {
  const { send, mostBytes, isDelayed, serve } = options
  const streams = new Map<number, Stream>()
  let next = 0

  async function write(stream: Stream, data: Buffer): Promise<void> {
    for (let at = 0; at < data.length && !stream.isClosed; ) {
      while (stream.room <= 0 && !stream.isClosed) {
        await new Promise<void>((resolve) => {
          stream.onRoom = resolve
        })
      }
      if (stream.isClosed) return
      const size = Math.min(mostBytes, data.length - at, isDelayed() ? stream.room : mostBytes)
      stream.room = isDelayed() ? stream.room - size : 0
      const payload = Buffer.from(data.subarray(at, at + size))
      send({ command: commandOf.WRTE, arg0: stream.own, arg1: stream.theirs, payload })
      at += size
    }
  }

  function close(stream: Stream): void {
    if (stream.isClosed) return
    stream.isClosed = true
    stream.onRoom?.()
    streams.delete(stream.own)
    send({ command: commandOf.CLSE, arg0: stream.own, arg1: stream.theirs, payload: empty })
  }

  async function answer(stream: Stream, { isFramed, result }: Service): Promise<void> {
    const { stdout, stderr, exitCode } = await result
    if (isFramed) {
      await write(stream, Buffer.concat([frame(1, stdout), frame(2, stderr), frame(3, Buffer.from([exitCode]))]))
    } else {
      await write(stream, Buffer.concat([stdout, stderr]))
    }
    close(stream)
  }

  function open(theirs: number, window: number, payload: Buffer): void {
    if (isDelayed() !== window > 0) throw new Error('OPEN has a window that does not fit what was agreed')
    const service = serve(payload.toString('utf8').replace(/\0$/, ''))
    if (!service) {
      send({ command: commandOf.CLSE, arg0: 0, arg1: theirs, payload: empty })
      return
    }
    next += 1
    const stream: Stream = { own: next, theirs, room: isDelayed() ? window : 1, isClosed: false, onRoom: null }
    streams.set(stream.own, stream)
    send({ command: commandOf.OKAY, arg0: stream.own, arg1: theirs, payload: isDelayed() ? int32(1024 * 1024) : empty })
    answer(stream, service).catch(() => close(stream))
  }

  return {
    take({ command, arg0, arg1, payload }: Packet): void {
      if (command === commandOf.OPEN) {
        open(arg0, arg1, payload)
        return
      }
      const stream = streams.get(arg1)
      if (!stream || stream.theirs !== arg0) return
      if (command === commandOf.OKAY) {
        if (isDelayed() !== (payload.length === 4)) throw new Error('OKAY does not say how many bytes were taken')
        stream.room = isDelayed() ? stream.room + payload.readUInt32LE(0) : 1
        stream.onRoom?.()
      }
      if (command === commandOf.WRTE) {
        send({
          command: commandOf.OKAY,
          arg0: stream.own,
          arg1: stream.theirs,
          payload: isDelayed() ? int32(payload.length) : empty,
        })
      }
      if (command === commandOf.CLSE) close(stream)
    },
    close() {
      for (const stream of streams.values()) {
        stream.isClosed = true
        stream.onRoom?.()
      }
      streams.clear()
    },
  }
}

/** A frame of shell_v2: what it is, how long it is, the bytes. Empty output has none. */
function frame(id: number, data: Buffer): Buffer {
  if (data.length === 0) return empty
  return Buffer.concat([Buffer.from([id]), int32(data.length), data])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
