import { connect, type Socket } from 'node:net'
import {
  ADB_DEFAULT_AUTHENTICATORS,
  Adb,
  type AdbAuthenticator,
  AdbDaemonTransport,
  AdbPublicKeyAuthenticator,
} from '@yume-chan/adb'
import type { AdbKey } from './adb-key.ts'
import { packetsOf } from './adb-packets.ts'
import { type Limits, runLine, type ShellResult } from './run-line.ts'

export type { ShellResult } from './run-line.ts'

/** One TCP connection to a device. States: open -> lost; a lost one is thrown away, its user opens another. */
export interface AdbConnection {
  isOpen(): boolean
  /** Runs a command line in the shell of the device. Rejects when it took too long or the device went away meanwhile. */
  run(line: string, limits: Limits): Promise<ShellResult>
  close(): Promise<void>
}

export interface AdbAddress {
  host: string
  port: number
}

const connectMs = 5_000
const keepAliveMs = 10_000
const probeMs = 3_000

export interface OpenOptions {
  address: AdbAddress
  key: AdbKey
  /** How long a person has to confirm the question on the screen of the device. */
  allowMs: number
}

export async function openAdbConnection({ address, key, allowMs }: OpenOptions, signal: AbortSignal): Promise<AdbConnection> {
  const place = `${address.host}:${address.port}`
  const credentialStore = await key()
  const socket = await openSocket(address, signal)
  const transport = await authenticate(socket, place, credentialStore, allowMs, signal).catch((error: unknown) => {
    socket.destroy()
    throw error
  })
  return follow(new Adb(transport), socket, place)
}

function openSocket({ host, port }: AdbAddress, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs })
    const stopped = AbortSignal.any([signal, AbortSignal.timeout(connectMs)])
    const fail = (why: string): void => {
      socket.destroy()
      reject(new Error(`The device at ${host}:${port} cannot be reached: ${why}`))
    }
    const onStop = (): void => {
      socket.destroy()
      if (signal.aborted) reject(signal.reason as Error)
      else fail(`no answer within ${connectMs / 1000} s`)
    }
    // Also later, when the connection breaks: whoever reads from it is told, and nobody else needs to be.
    socket.on('error', (error: NodeJS.ErrnoException) => fail(reasons[error.code ?? ''] ?? error.message))
    socket.once('connect', () => {
      stopped.removeEventListener('abort', onStop)
      resolve(socket)
    })
    if (stopped.aborted) onStop()
    else stopped.addEventListener('abort', onStop, { once: true })
  })
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'it refuses the connection; is debugging over the network switched on?',
  EHOSTUNREACH: 'there is no way to this address',
  ENETUNREACH: 'there is no way to this address',
  ENOTFOUND: 'this name is not known',
}

async function authenticate(
  socket: Socket,
  serial: string,
  credentialStore: Awaited<ReturnType<AdbKey>>,
  allowMs: number,
  signal: AbortSignal,
): Promise<AdbDaemonTransport> {
  let isAsking = false
  // The public key goes out only after the signature was refused: then the device asks the person in front of it.
  const offerKey: AdbAuthenticator = (store, next) => {
    isAsking = true
    return AdbPublicKeyAuthenticator(store, next)
  }
  const authenticators = ADB_DEFAULT_AUTHENTICATORS.map((one) => (one === AdbPublicKeyAuthenticator ? offerKey : one))
  const tooLate = (): Error =>
    new Error(
      isAsking
        ? `The device at ${serial} does not know this agent yet: allow debugging on its screen ("always"), then try again`
        : `The device at ${serial} cannot be reached: it answers, but not as an Android device`,
    )
  const entering = AdbDaemonTransport.authenticate({ serial, connection: packetsOf(socket), credentialStore, authenticators })
  return within(allowMs, signal, tooLate, entering).catch((error: unknown) => {
    if (signal.aborted || !(error instanceof Error) || error.message.startsWith('The device')) throw error
    if (isAsking) throw new Error(`The device at ${serial} does not allow this agent to debug it`, { cause: error })
    throw new Error(`The device at ${serial} cannot be used: ${error.message}`, { cause: error })
  })
}

async function within<T>(ms: number, signal: AbortSignal, tooLate: () => Error, work: Promise<T>): Promise<T> {
  const over = Promise.withResolvers<never>()
  const timer = setTimeout(() => over.reject(tooLate()), ms)
  const onAbort = (): void => over.reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  work.catch(() => undefined)
  over.promise.catch(() => undefined)
  try {
    return await Promise.race([work, over.promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

function follow(adb: Adb, socket: Socket, place: string): AdbConnection {
  let isOpen = true
  const lost = new AbortController()
  const lose = (): void => {
    if (!isOpen) return
    isOpen = false
    lost.abort(new Error(`The connection to the device at ${place} was lost`))
    socket.destroy()
  }
  adb.disconnected.then(lose, lose)
  socket.once('close', lose)
  let isProbing = false

  const run = (line: string, limits: Limits): Promise<ShellResult> => runLine(adb, line, limits, lost.signal)
  /** Whether it is only slow or gone without a word is not to be seen from outside, but from a command that takes no time. */
  function probe(): void {
    if (isProbing) return
    isProbing = true
    run('echo', { timeoutMs: probeMs, signal: lost.signal, mostBytes: 1000 })
      .finally(() => {
        isProbing = false
      })
      .catch(lose)
  }
  return {
    isOpen: () => isOpen,
    async run(line, limits) {
      try {
        return await run(line, limits)
      } catch (error) {
        if (isOpen && !limits.signal.aborted) probe()
        throw error
      }
    },
    async close() {
      isOpen = false
      // What stands still is cut off: an end to the second cannot depend on the device.
      const closing = adb.close().catch(() => undefined)
      await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, 500).unref())])
      lost.abort(new Error(`The connection to the device at ${place} was closed`))
      socket.destroy()
    },
  }
}
