import type { Database } from '../../db/database.ts'
import type { HostAddress, HostLinks, HostTransport } from '../hosts/index.ts'
import type { Forwarder } from './forward.ts'
import { findLinkOwner } from './link.store.ts'
import type { LinkHub } from './link-hub.ts'

/** How long it is believed that a host has no link; asked for fresh before a call is given up. */
const believedMs = 1000
/** How long a call that lost its link waits for the next one: agents try again within a second. */
const patienceMs = 4000
const lookMs = 400
/** So that names somebody makes up do not gather. */
const mostRemembered = 5000

export interface HostLinksOptions {
  db: Database
  hub: LinkHub
  forward: Forwarder
}

/** Finds the link of a host: at this server, or at the one that the database names. */
export function createHostLinks({ db, hub, forward }: HostLinksOptions): HostLinks {
  /** Which start of the agent a way leads to. */
  const boots = new WeakMap<HostTransport, string>()
  const withoutLink = new Map<string, number>()

  async function find(host: HostAddress, how?: { fresh: boolean }): Promise<HostTransport | undefined> {
    const own = hub.find(host.hostName)
    if (own) {
      boots.set(own.session.send, own.bootId)
      return own.session.send
    }
    // Only our agents link.
    if (!host.repeats) return undefined
    const now = performance.now()
    if (!how?.fresh && now < (withoutLink.get(host.hostName) ?? 0)) return undefined
    const owner = await findLinkOwner(db, host.hostName)
    if (!owner || owner.server_id === hub.serverId) {
      if (withoutLink.size >= mostRemembered) withoutLink.clear()
      withoutLink.set(host.hostName, now + believedMs)
      return undefined
    }
    withoutLink.delete(host.hostName)
    const transport = forward(owner)
    boots.set(transport, owner.boot_id)
    return transport
  }

  return {
    find,
    async again(host, lost, signal) {
      const bootId = boots.get(lost)
      const end = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)])
      while (!end.aborted) {
        const found = await find(host, { fresh: true })
        // Another start of the agent remembers nothing: it would do again what the first one may have done.
        if (found && found !== lost) return boots.get(found) === bootId ? found : undefined
        if (found && hub.find(host.hostName)?.session.isOpen()) return found
        await hub.opened(host.hostName, AbortSignal.any([end, AbortSignal.timeout(lookMs)]))
      }
      return undefined
    },
  }
}
