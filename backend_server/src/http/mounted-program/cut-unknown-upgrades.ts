import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { LabError } from '@virtualpytest/shared'
import { splitUrl } from './program-request.ts'
import { endSocket, jsonRefusal } from './refusal.ts'

/**
 * Answers handshakes that belong to nobody. Node leaves them open as soon as anybody listens for upgrades, and Socket.IO
 * would cut everything that it does not know after a second, the slow handshakes of a mounted program included.
 */
export function cutUnknownUpgrades(server: Server, isKnown: (path: string) => boolean): void {
  server.on('upgrade', (message, socket) => {
    if (isKnown(splitUrl(message.url ?? '')[0])) return
    socket.on('error', () => socket.destroy())
    endSocket(socket as Socket, jsonRefusal(new LabError('route_not_found'), randomUUID()))
  })
}
