import { lookup as resolveName } from 'node:dns'
import http from 'node:http'
import https from 'node:https'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import type { AddressRules } from './address-rules.ts'
import { HostConnectionError, type HostTransport } from './host-transport.ts'

export interface DirectOptions {
  mayCall: AddressRules
  connectTimeoutMs: number
}

/** Below the 72 s after which an agent drops an idle connection. */
const idleMs = 30_000
/** Names are resolved by four threads that files need too: names that hang must leave some. */
const mostLookups = 2

/**
 * Calls over HTTP to the registered URL, and to nothing else: a redirect is an answer like any other, and the address behind
 * the name must be one that hosts may have.
 */
export function createDirectTransport({ mayCall, connectTimeoutMs }: DirectOptions) {
  /*
   * Reads use kept connections, and so does everything on our agents, which know a repeated call by its id. On an original
   * host a kept connection that died looks like a call cut in the middle, and nobody could tell whether it had begun; it
   * also serves one connection at a time and is spared an idle one.
   */
  const agents = {
    'http:': new http.Agent({ keepAlive: true, timeout: idleMs, maxFreeSockets: 16 }),
    'https:': new https.Agent({ keepAlive: true, timeout: idleMs, maxFreeSockets: 16 }),
  }
  const lookup = createLookup(mayCall)

  const send: HostTransport = (host, { method, path, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const url = urlOf(host.baseUrl, path)
      const name = url.hostname.replace(/^\[|\]$/g, '')
      if (isIP(name) !== 0 && !mayCall(name)) {
        reject(refusedAddress())
        return
      }
      const secure = url.protocol === 'https:'
      const mayKeep = method === 'GET' || method === 'HEAD' || host.repeats === true
      const request = (secure ? https : http).request(url, {
        method,
        signal,
        headers: { ...headers, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }) },
        agent: mayKeep && agents[secure ? 'https:' : 'http:'],
        lookup,
      })
      let connected = false
      const noteConnected = (): void => {
        connected = true
        clearTimeout(connecting)
      }
      const connecting = setTimeout(() => request.destroy(neverConnected()), connectTimeoutMs)
      request.once('socket', (socket: Socket) => {
        // A kept connection never connects again: a listener on it would stay for ever.
        if (!socket.connecting) noteConnected()
        else socket.once(secure ? 'secureConnect' : 'connect', noteConnected)
      })
      request.once('close', () => clearTimeout(connecting))
      request.once('error', (error: NodeJS.ErrnoException) => {
        // Out of time before it was connected: nothing has begun, and the circuit must hear of it.
        if (signal.aborted) reject(connected || !isTimeout(signal.reason) ? (signal.reason as Error) : neverConnected())
        else if (error instanceof HostConnectionError) reject(error)
        else reject(new HostConnectionError(error.code ?? 'connection failed', { begun: connected, cause: error }))
      })
      request.once('response', (response) => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: response })
      })
      request.end(body)
    })

  return {
    send,
    close(): void {
      agents['http:'].destroy()
      agents['https:'].destroy()
    },
  }
}

function urlOf(baseUrl: string, path: string): URL {
  try {
    return new URL(`${baseUrl}${path}`)
  } catch {
    throw new HostConnectionError('no URL', { begun: false, text: 'The host has no URL to call.' })
  }
}

const isTimeout = (reason: unknown): boolean => (reason as { name?: string } | undefined)?.name === 'TimeoutError'
const neverConnected = (): HostConnectionError => new HostConnectionError('ETIMEDOUT', { begun: false })
const refusedAddress = (): HostConnectionError =>
  new HostConnectionError('ADDRESS_REFUSED', { begun: false, text: 'Hosts may not have this address; see HOST_NETWORKS.' })

/** Resolution as sockets ask for it, which keeps only addresses that hosts may have. One question per name at a time. */
function createLookup(mayCall: AddressRules): LookupFunction {
  type Found = { address: string; family: number }[]
  type Listener = (error: NodeJS.ErrnoException | null, found: Found) => void
  const listeners = new Map<string, Listener[]>()
  const waiting: string[] = []
  let running = 0

  function askNext(): void {
    const name = running < mostLookups ? waiting.shift() : undefined
    if (name === undefined) return
    running += 1
    resolveName(name, { all: true }, (error, found) => {
      running -= 1
      const told = listeners.get(name) ?? []
      listeners.delete(name)
      for (const tell of told) tell(error, found)
      askNext()
    })
  }
  function ask(name: string, listener: Listener): void {
    const others = listeners.get(name)
    if (others) {
      others.push(listener)
      return
    }
    listeners.set(name, [listener])
    waiting.push(name)
    askNext()
  }
  return (name, options, callback) =>
    ask(name, (error, found) => {
      const allowed = error ? [] : found.filter(({ address }) => mayCall(address))
      const [first] = allowed
      if (error) callback(error, [])
      else if (!first) callback(refusedAddress(), [])
      else if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
}
