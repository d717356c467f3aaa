import { createDirectTransport, HostConnectionError, type HostTransport } from '../hosts/index.ts'
import type { LinkOwner } from './link.store.ts'

/*
 * Calls for a host whose link ends at another server go there, over plain HTTP inside the deployment, with the key that the
 * other server has written beside its address. It carries them out over its link, or says why it could not.
 */

export const forwardPath = '/server/internal/host-calls'
export const forwardHeaders = { key: 'x-internal-key', path: 'x-host-path', failure: 'x-link-failure' } as const

export type Forwarder = (owner: LinkOwner) => HostTransport

export function createForwarder(options: { connectTimeoutMs: number }): { forward: Forwarder; close: () => void } {
  // Where servers are is said by the servers themselves, not by a registration.
  const direct = createDirectTransport({ mayCall: () => true, connectTimeoutMs: options.connectTimeoutMs })
  const known = new Map<string, HostTransport>()

  return {
    forward(owner) {
      const transport = known.get(owner.link_id) ?? create(owner)
      if (known.size > 5000) known.clear()
      known.set(owner.link_id, transport)
      return transport
    },
    close: () => direct.close(),
  }

  function create(owner: LinkOwner): HostTransport {
    return async (host, request) => {
      const baseUrl = `${owner.internal_url.replace(/\/+$/, '')}${forwardPath}/${encodeURIComponent(host.hostName)}`
      const headers = { ...request.headers, [forwardHeaders.key]: owner.internal_key, [forwardHeaders.path]: request.path }
      const send = () =>
        direct.send({ hostName: host.hostName, baseUrl, key: undefined, repeats: true }, { ...request, path: '', headers })
      const reply = await send().catch((error: unknown) => {
        // A kept connection that had died: the link itself may be well, and our agents know a call that comes twice.
        if (error instanceof HostConnectionError && error.begun && host.repeats && !request.signal.aborted) return send()
        throw error
      })
      const failure = reply.headers[forwardHeaders.failure]
      if (failure === undefined) return reply
      reply.body.resume()
      throw new HostConnectionError('LINK_LOST', { begun: failure !== 'not begun', text: 'the link of the host was lost' })
    }
  }
}
