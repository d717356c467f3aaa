import { randomBytes, randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { LabError } from '@virtualpytest/shared'
import type { FastifyBaseLogger } from 'fastify'
import type { WebSocket } from 'ws'
import { type Database, inTransaction } from '../../db/database.ts'
import {
  deleteExpiredLinks,
  dropInstance,
  dropLink,
  type LinkRow,
  renewLinks,
  type ServerInstance,
  takeLink,
} from './link.store.ts'
import { closeCodes, type LinkSession, openLinkSession } from './link-session.ts'

/** The row of a link whose handshake is not done yet. */
export interface LinkClaim extends LinkRow {
  hostName: string
}
export interface OpenLink extends LinkClaim {
  session: LinkSession
  turn: number
}
/** Parts of a round of pings. */
const turns = 12

export interface LinkHubOptions {
  db: Database
  log: FastifyBaseLogger
  serverName: string
  /** Where other servers on the same database reach this one. */
  internalUrl: () => string
  pingMs: number
}

/**
 * The links that end at this server, one per host. claimed (has its row) -> open -> closed. The row in the database says whose
 * link counts; a link that has lost its row is closed.
 */
export function createLinkHub({ db, log, serverName, internalUrl, pingMs }: LinkHubOptions) {
  const links = new Map<string, OpenLink>()
  const news = new EventEmitter().setMaxListeners(0)
  const id = randomUUID()
  const internalKey = randomBytes(32).toString('hex')
  const instance = (): ServerInstance => ({ id, name: serverName, internalUrl: internalUrl(), internalKey })
  let stopped = false
  // One timer for all, and not all at once: each link has its turn in the round.
  let turn = 0
  let opened = 0
  const pings = setInterval(() => {
    turn = (turn + 1) % turns
    for (const link of links.values()) if (link.turn === turn) link.session.ping()
  }, pingMs / turns)
  pings.unref()

  function forget(link: OpenLink): void {
    if (links.get(link.hostName) === link) links.delete(link.hostName)
    log.info({ host_name: link.hostName }, 'link closed')
    release(link)
  }
  function release({ linkId }: LinkClaim): void {
    if (stopped) return
    dropLink(db, linkId).catch((error: unknown) => log.debug({ err: error }, 'the row of a closed link runs out by itself'))
  }

  return {
    serverId: id,
    internalKey,
    isStopped: () => stopped,
    find: (hostName: string): OpenLink | undefined => links.get(hostName),
    count: (): number => links.size,

    /** The newest link of a host is the one that counts: an agent opens a second one only when it has given up the first. */
    async claim(host: { hostId: string; hostName: string; bootId: string }): Promise<LinkClaim> {
      const claim = { ...host, linkId: randomUUID() }
      const isOurs = await inTransaction(db, (tx) => takeLink(tx, instance(), claim))
      if (!isOurs) throw new LabError('conflict', { text: 'Another start of this host has registered since.' })
      if (stopped) throw new LabError('draining')
      return claim
    },
    release,

    /** At once when the handshake is done, so that nothing that the agent sends is missed. */
    open(socket: WebSocket, claim: LinkClaim): void {
      const link: OpenLink = { ...claim, turn: opened % turns, session: openLinkSession(socket, () => forget(link)) }
      opened += 1
      const before = links.get(link.hostName)
      links.set(link.hostName, link)
      before?.session.close(closeCodes.replaced, 'a newer link has taken over')
      log.info({ host_name: link.hostName }, 'link open')
      news.emit(link.hostName)
    },

    /** A host has registered: a link of an earlier start of its agent counts no longer. */
    fence(hostName: string, bootId: string | null): void {
      const link = links.get(hostName)
      if (link && link.bootId !== bootId) link.session.close(closeCodes.fenced, 'another agent has registered under this name')
    },

    /** Waits for a link of this host to open here. */
    async opened(hostName: string, signal: AbortSignal): Promise<void> {
      await once(news, hostName, { signal }).catch(() => undefined)
    },

    async renew(): Promise<void> {
      const mine = [...links.values()]
      const kept = await inTransaction(db, async (tx) => {
        const still = mine.length === 0 ? new Set<string>() : await renewLinks(tx, instance(), mine.map(rowOf))
        await deleteExpiredLinks(tx)
        return still
      })
      for (const link of mine) {
        if (!kept.has(link.linkId)) link.session.close(closeCodes.fenced, 'another link has taken over')
      }
    },

    /** Lets the calls that are under way end; hosts open their next link elsewhere, or here after the restart. */
    async stop(): Promise<void> {
      stopped = true
      clearInterval(pings)
      for (const { session } of links.values()) session.closeWhenIdle(closeCodes.goingAway, 'the server stops')
      await dropInstance(db, id).catch(() => undefined)
    },
  }
}
export type LinkHub = ReturnType<typeof createLinkHub>

const rowOf = ({ linkId, hostId, bootId }: OpenLink): LinkRow => ({ linkId, hostId, bootId })
