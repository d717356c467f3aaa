import { randomUUID } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { LabError } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import { WebSocketServer } from 'ws'
import type { Database } from '../../db/database.ts'
import type { Caller } from '../../http/caller.ts'
import { toLabError } from '../../http/errors.ts'
import { endSocket, jsonRefusal, splitUrl } from '../../http/mounted-program/index.ts'
import { type CallerRequest, sameSecret } from '../../http/resolve-caller.ts'
import { assertMaySpeakFor } from '../hosts/index.ts'
import { findLinkingHost } from './link.store.ts'
import type { LinkHub } from './link-hub.ts'

export const linkPath = '/server/hosts/link'
export const linkProtocol = 'virtualpytest.link.v1'
/** HTTP/2 sends frames of 16 kB, some together; a message that is larger is none of ours. */
const largestMessage = 1024 * 1024

export interface AcceptOptions {
  db: Database
  log: FastifyBaseLogger
  hub: LinkHub
  /** As for a registration: the host's own key, the shared one, or none where hosts may register without. */
  resolveCaller: (request: CallerRequest, access: 'host') => Promise<Caller>
}

/** Takes the upgrades of agents that dial in. Whoever is refused gets the usual error as the answer to the handshake. */
export function acceptLinks(server: Server, { db, log, hub, resolveCaller }: AcceptOptions): void {
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: largestMessage,
    clientTracking: false,
    handleProtocols: () => linkProtocol,
  })

  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const [path, query] = splitUrl(request.url ?? '')
    if (path !== linkPath) return
    const onError = (): void => void socket.destroy()
    socket.on('error', onError)
    admit(request, query)
      .then((host) => hub.claim(host))
      .then((claim) => {
        // Last of all: an agent whose link is open can be called over it.
        let isOpen = false
        sockets.handleUpgrade(request, socket, head, (link) => {
          isOpen = true
          socket.off('error', onError)
          hub.open(link, claim)
        })
        if (!isOpen) hub.release(claim)
      })
      .catch((error: unknown) => {
        const failure = toLabError(error)
        log[failure.status >= 500 ? 'warn' : 'info'](
          { err: failure.cause, code: failure.code },
          `link refused: ${failure.message}`,
        )
        endSocket(socket, jsonRefusal(failure, randomUUID()))
      })
  })

  async function admit(request: IncomingMessage, query: string) {
    if (hub.isStopped()) throw new LabError('draining')
    // Pages can open a WebSocket to anywhere, but not without saying who they are.
    if (request.headers.origin !== undefined) throw new LabError('forbidden', { text: 'Links are for hosts, not for browsers.' })
    if (request.headers['sec-websocket-protocol'] !== linkProtocol) {
      throw new LabError('validation_error', { text: `A link speaks the protocol ${linkProtocol}.` })
    }
    const asked = new URLSearchParams(query)
    const [hostName, bootId, callKey] = [asked.get('host_name'), asked.get('boot_id'), request.headers['x-call-key']]
    if (!hostName || !bootId || typeof callKey !== 'string') {
      throw new LabError('validation_error', {
        text: 'A link needs host_name and boot_id in its query and the header X-Call-Key.',
      })
    }
    const caller = await resolveCaller({ headers: request.headers, ip: request.socket.remoteAddress ?? '', query: {} }, 'host')
    const host = await findLinkingHost(db, hostName)
    if (!host) throw new LabError('not_registered')
    assertMaySpeakFor(caller, { name: host.name, keyHash: host.key_hash })
    // Also where hosts need no key: only the agent that registered knows what it asked to be called with.
    if (host.call_key === null || !sameSecret(callKey, host.call_key)) {
      throw new LabError('unauthorized', { text: 'This is not the call key that the host has registered.' })
    }
    if (host.boot_id !== bootId) throw new LabError('conflict', { text: 'Another start of this host has registered since.' })
    return { hostId: host.id, hostName: host.name, bootId }
  }
}
