import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { HostAddress } from './host.store.ts'

/** A call to a host as it goes over a wire, whichever it is. */
export interface HostRequest {
  method: string
  /** With query; begins with /host/. */
  path: string
  headers: Record<string, string>
  body: string | undefined
  /** Ends the call, also while its answer is being read. */
  signal: AbortSignal
}

export interface HostReply {
  status: number
  headers: IncomingHttpHeaders
  /** Whoever got it reads it to its end or destroys it. */
  body: Readable
}

/** One way to a host. Rejects with a HostConnectionError, or with the reason of the signal. */
export type HostTransport = (host: HostAddress, request: HostRequest) => Promise<HostReply>

/** Why there was no answer. `begun` is false only where it is sure that the host has not seen the call. */
export class HostConnectionError extends Error {
  readonly code: string
  readonly begun: boolean
  constructor(code: string, { begun, text, cause }: { begun: boolean; text?: string; cause?: unknown }) {
    super(text ?? code, { cause })
    this.name = 'HostConnectionError'
    this.code = code
    this.begun = begun
  }
}
