/**
 * An Android device at the edge of the tests: it listens on a TCP port and speaks ADB as a device does, with
 * authentication by signature, several streams on one connection and acknowledged writes. What it is asked to run goes
 * to a shell that knows the programs the driver uses, and these act on a small simulated screen.
 */
import { type KeyObject, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type AndroidPhone, createPhone, type PhoneOptions } from './phone.ts'
import { createStreams, type Service } from './streams.ts'
import { commandOf, createPacketReader, encodePacket, isSignedBy, type Packet, readPublicKey } from './wire.ts'

export interface AndroidOptions extends PhoneOptions {
  port?: number
  /** What the person in front of it does when it asks whether this computer may debug it. */
  person?: 'allows' | 'denies' | 'is away'
  /** Before Android 7 there was one stream without exit code, with checksums; since 14 writes are acknowledged by bytes. */
  android?: 6 | 11 | 14
  /** It wants TLS and a pairing code instead, as wireless debugging does. */
  wantsPairing?: boolean
}

export interface FakeAndroid {
  host: string
  port: number
  phone: AndroidPhone
  /** Every command line that reached its shell. */
  lines: string[]
  person: NonNullable<AndroidOptions['person']>
  /** What the host did against the protocol. */
  faults: string[]
  counts: { connections: number; asked: number; signedIn: number }
  /** Names of the keys that it allows from now on. */
  keyNames: string[]
  /** While true, commands are taken and never answered. */
  isStuck: boolean
  connections(): number
  /** Cuts what is connected, as a device does that restarts. */
  drop(): void
  stop(): Promise<void>
  /** Listens again, on the same port. */
  start(): Promise<void>
}

const features = { 6: [], 11: ['shell_v2', 'cmd', 'stat_v2', 'ls_v2'], 14: ['shell_v2', 'cmd', 'stat_v2', 'delayed_ack'] }

export async function startAndroid(options: AndroidOptions = {}): Promise<FakeAndroid> {
  const { android = 14, wantsPairing = false } = options
  const phone = createPhone(options)
  const keys: KeyObject[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    talk(socket)
  })

  function talk(socket: Socket): void {
    device.counts.connections += 1
    let token = randomBytes(20)
    let isIn = false
    let hostFeatures: string[] = []
    const version = android === 6 ? 0x01000000 : 0x01000001
    const read = createPacketReader(() => android === 6)
    const send = (packet: Packet): void => void socket.write(encodePacket(packet))
    const streams = createStreams({
      send,
      mostBytes: android === 6 ? 4096 : 256 * 1024,
      isDelayed: () => android === 14 && hostFeatures.includes('delayed_ack'),
      serve: (service) => device.serve(service),
    })
    socket.on('close', () => streams.close())
    const challenge = (): void => {
      token = randomBytes(20)
      send({ command: commandOf.AUTH, arg0: 1, arg1: 0, payload: token })
    }
    const welcome = (): void => {
      isIn = true
      const properties = `ro.product.name=sim;ro.product.model=Simulated;ro.product.device=sim;features=${features[android].join(',')}`
      const payload = Buffer.from(`device::${properties}${android === 6 ? '\0' : ''}`)
      send({ command: commandOf.CNXN, arg0: version, arg1: android === 6 ? 4096 : 1024 * 1024, payload })
    }
    const offered = (payload: Buffer): void => {
      device.counts.asked += 1
      const { key, name } = readPublicKey(payload)
      if (device.person === 'denies') socket.destroy()
      if (device.person !== 'allows') return
      keys.push(key)
      device.keyNames.push(name)
      welcome()
    }
    const take = (packet: Packet): void => {
      const { command, arg0, payload } = packet
      const signs = command === commandOf.AUTH && arg0 === 2
      if (command === commandOf.CNXN) {
        hostFeatures = /features=([^;\0]*)/.exec(payload.toString('utf8'))?.[1]?.split(',') ?? []
        if (wantsPairing) send({ command: commandOf.STLS, arg0: 0x01000000, arg1: 0, payload: Buffer.alloc(0) })
        else challenge()
      } else if (command === commandOf.AUTH && arg0 === 3) {
        offered(payload)
      } else if (signs && keys.some((key) => isSignedBy(key, token, payload))) {
        device.counts.signedIn += 1
        welcome()
      } else if (signs) {
        challenge()
      } else if (isIn) {
        streams.take(packet)
      } else {
        // Nothing is done for whom it does not know.
        socket.destroy()
      }
    }
    socket.on('data', (bytes: Buffer) => {
      try {
        for (const packet of read(bytes)) take(packet)
      } catch (error) {
        device.faults.push(error instanceof Error ? error.message : String(error))
        socket.destroy()
      }
    })
  }

  const device: FakeAndroid & { serve(service: string): Service | null } = {
    host: '127.0.0.1',
    port: options.port ?? 0,
    phone,
    lines: [],
    faults: [],
    person: options.person ?? 'allows',
    counts: { connections: 0, asked: 0, signedIn: 0 },
    keyNames: [],
    isStuck: false,
    connections: () => sockets.size,
    serve(service: string) {
      const command = /^(shell,v2,raw|exec|shell):(.*)$/s.exec(service)
      if (!command || (command[1] === 'shell,v2,raw' && android === 6)) return null
      const line = command[2] ?? ''
      device.lines.push(line)
      return {
        isFramed: command[1] === 'shell,v2,raw',
        result: device.isStuck ? new Promise<never>(() => undefined) : phone.run(line),
      }
    },
    drop() {
      for (const socket of sockets) socket.resetAndDestroy()
    },
    async stop() {
      if (!server.listening) return
      server.close()
      device.drop()
      await once(server, 'close')
    },
    async start() {
      server.listen(device.port, device.host)
      await once(server, 'listening')
      device.port = (server.address() as AddressInfo).port
    },
  }
  await device.start()
  return device
}
